import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync } from "node:fs";
import { recordEndingAt } from "../../../src/log/batch-records.ts";
import type { OrderEvent } from "../../../src/orders/events/kinds.ts";
import { AppliedMark, lostOffset } from "../../../src/runtime/store/position/applied-mark.ts";
import { lastRecordOf } from "../../../src/runtime/store/position/last-record.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { batchOf } from "../../support/events/blocks.ts";
import { orderCreated, recordOf, statusUpdated } from "../../support/events/orders.ts";
import { MemoryFile } from "../../support/stores/memory-file.ts";
import { MemoryBroker } from "../../log/memory/memory-log.ts";
import { answerFor, eventually, Rig, TOPIC } from "../rig.ts";

const FILES = ["", "-wal", "-shm", "-records", "-creates", "-applied"];

/** A service that saved ORD-1, answered that it was shipped, and was killed before it saved that. */
async function killedBeforeSaving(rig: Rig): Promise<void> {
  await rig.prepare(1);
  await rig.append(orderCreated());
  const set = rig.start("x", [0]);
  await eventually(() => set.get(0)?.nextOffset === 1);
  await eventually(() => rig.savedOffset("x", 0) === 1);
  await rig.append(statusUpdated({ status: "shipped" }));
  await eventually(() => answerFor(set, "ORD-1") === "shipped");
  const from = rig.storePath("x", 0);
  for (const suffix of FILES) if (existsSync(from + suffix)) copyFileSync(from + suffix, rig.storePath("killed", 0) + suffix);
  expect(rig.savedOffset("killed", 0)).toBe(1);
  await set.close();
}

/** The same log after it lost its end, and perhaps went on. */
async function logWith(...events: OrderEvent[]) {
  // The ids are those of the rig's own log.
  let ids = 0;
  const log = new MemoryBroker({ clock: systemClock, newUuid: () => `id-${ids++}` }).connect("test");
  await log.createTopic(TOPIC, 1);
  await log.producer().append(
    TOPIC,
    events.map((event) => recordOf(event)),
  );
  return log;
}

describe("after a process was killed before it saved what it had answered (I7)", () => {
  test("a log that has other records there halts the partition", async () => {
    await using rig = new Rig();
    await killedBeforeSaving(rig);
    const log = await logWith(orderCreated(), statusUpdated({ status: "pending" }));
    const set = rig.start("killed", [0], undefined, log);
    await eventually(() => set.get(0)?.state === "halted");
    expect(set.get(0)?.halted).toContain("At offset 1 the log holds another record than the one applied");
    expect(answerFor(set, "ORD-1")).toBe("PARTITION_HALTED");
  });

  test("a log that ends before them halts the partition, once it has told so for a while", async () => {
    await using rig = new Rig();
    await killedBeforeSaving(rig);
    const set = rig.start("killed", [0], undefined, await logWith(orderCreated()));
    await Bun.sleep(100);
    expect(answerFor(set, "ORD-1")).not.toBe("new");
    rig.passed_ms = 5_000;
    await eventually(() => set.get(0)?.state === "halted");
    expect(set.get(0)?.halted).toContain("The store goes on at offset 2, but the log holds 0 to 1");
  });

  test("a log that still has them is read on", async () => {
    await using rig = new Rig();
    await killedBeforeSaving(rig);
    const set = rig.start("killed", [0]);
    await eventually(() => answerFor(set, "ORD-1") === "shipped");
  });
});

describe("the mark", () => {
  const last = { offset: 7, checksum: 0xdeadbeef, leaderEpoch: 3 };

  test("of each partition is read as it was written, also without a record or an epoch", () => {
    const file = new MemoryFile();
    const marks = [
      { nextOffset: 2 ** 50, last, isRestored: true },
      { nextOffset: 1, last: { ...last, leaderEpoch: undefined }, isRestored: false },
      { nextOffset: 9, last: undefined, isRestored: true },
    ];
    for (const [partition, mark] of marks.entries()) new AppliedMark(file, partition).write(mark);
    for (const [partition, mark] of marks.entries()) expect(new AppliedMark(file, partition).read()).toEqual(mark);
  });

  test("that is not whole counts for nothing", () => {
    const file = new MemoryFile();
    expect(new AppliedMark(file, 0).read()).toBeUndefined();
    new AppliedMark(file, 0).write({ nextOffset: 8, last, isRestored: false });
    const bytes = file.toBuffer();
    bytes[3]! ^= 1;
    file.write(bytes, 0, bytes.length, 0);
    expect(new AppliedMark(file, 0).read()).toBeUndefined();
  });

  test.each([true, false])("is compared with the batch that comes to its record (as blocks: %p)", (hasBlocks) => {
    const records = [recordOf(orderCreated()), recordOf(statusUpdated()), recordOf(statusUpdated({ eventId: "c" }))];
    const batch = batchOf(records, 5, hasBlocks);
    const mark = { last: lastRecordOf(recordEndingAt(batch, 6)!) };
    expect(lostOffset(mark, batch)).toBeUndefined();
    expect(lostOffset(mark, batchOf(records.slice(0, 1), 5, hasBlocks))).toBeUndefined();
    expect(lostOffset(mark, batchOf([records[0]!, records[2]!], 5, hasBlocks))).toBe(6);
    expect(lostOffset(undefined, batch)).toBeUndefined();
  });
});
