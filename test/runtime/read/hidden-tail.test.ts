import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readiness } from "../../../src/http/health.ts";
import { noFaults } from "../../log/memory/memory-log.ts";
import { lastRecordOf } from "../../../src/runtime/store/position/last-record.ts";
import { withoutGenerations } from "../../support/stores/without-generations.ts";
import { orderCreated, recordOf, statusUpdated } from "../../support/events/orders.ts";
import { answerFor, eventually, Rig, TOPIC } from "../rig.ts";

describe("what lies behind the last record applied", () => {
  const others = (count: number) =>
    Array.from({ length: count }, (_, n) => recordOf(orderCreated({ orderId: `ORD-${30 + n}`, eventId: `x${n}` })));

  /** Log content that leaves nothing to be applied, and moves the position by three. */
  const LEFT: Record<string, (rig: Rig) => unknown> = {
    "an aborted transaction": ({ broker }) => {
      const records = [
        recordOf(orderCreated({ orderId: "ORD-20", eventId: "t" })),
        recordOf(orderCreated({ orderId: "ORD-21", eventId: "u" })),
      ];
      broker.topics.openTransaction(TOPIC, records).end(false);
    },
    "a batch that nobody can decode": ({ broker }) => broker.topics.landUndecodable(TOPIC, 0, 3, "Nobody can decode it."),
  };

  /** Partition 0 with `appliedRecords` records applied, followed by content that leaves nothing to apply. */
  async function behind(what: string, appliedRecords: number, faults = noFaults) {
    const rig = new Rig(faults);
    await rig.prepare(1);
    const records = [recordOf(orderCreated({ eventId: "a" })), recordOf(orderCreated({ orderId: "ORD-2", eventId: "b" }))].slice(
      0,
      appliedRecords,
    );
    if (records.length > 0) await rig.append(...records);
    const set = rig.start("x", [0]);
    await eventually(() => readiness(set).status === "ready" && set.get(0)?.nextOffset === appliedRecords);
    LEFT[what]?.(rig);
    await eventually(() => set.get(0)?.nextOffset === appliedRecords + 3);
    return { rig, set, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
  }

  const cases = Object.keys(LEFT).flatMap((what) => [2, 1, 0].map((count) => [what, count] as const));

  test.each(cases)("%s behind %d records is followed where the log still has it", async (what, count) => {
    await using log = await behind(what, count);
    const { rig, set } = log;
    rig.broker.topics.elect(TOPIC, 0);
    await rig.append(orderCreated({ orderId: "ORD-5", eventId: "d" }));
    await eventually(() => answerFor(set, "ORD-5") === "new");
    await set.close();
    const again = rig.start("x", [0]);
    await rig.append(statusUpdated({ orderId: "ORD-5", eventId: "e", status: "shipped" }));
    await eventually(() => answerFor(again, "ORD-5") === "shipped");
  });

  test.each(cases)(
    "%s behind %d records, lost and others in its place, halts the partition: none is left out",
    async (what, count) => {
      for (const isRunning of [true, false]) {
        await using log = await behind(what, count);
        const { rig } = log;
        if (!isRunning) await log.set.close();
        rig.broker.topics.elect(TOPIC, 0, count);
        await rig.append(...others(5));
        const set = isRunning ? log.set : rig.start("x", [0]);
        await eventually(() => set.get(0)?.state === "halted");
        expect(set.get(0)).toMatchObject({ nextOffset: count + 3, halted: expect.stringContaining("the log holds a") });
        expect(answerFor(set, "ORD-30")).toBe("PARTITION_HALTED");
      }
    },
  );

  test.each(cases)("%s behind %d records: others are found out where each is read by itself, too", async (what, count) => {
    let isPartial = false;
    await using log = await behind(what, count, { ...noFaults, onFetch: () => (isPartial ? "partial" : "ok") });
    const { rig, set } = log;
    isPartial = true;
    // The transaction's first record is not there, so that a fetch ends before it.
    rig.broker.topics.elect(TOPIC, 0, count);
    rig.broker.topics.openTransaction(TOPIC, [recordOf(orderCreated({ orderId: "ORD-22", eventId: "v" }))]).end(false);
    await rig.append(...others(4));
    await eventually(() => set.get(0)?.state === "halted");
    expect(set.get(0)?.nextOffset).toBe(count + 3);
  });

  test("another batch that nobody can decode, of other records, halts the partition: it has no letter", async () => {
    await using log = await behind("a batch that nobody can decode", 1);
    const { rig, set } = log;
    rig.broker.topics.elect(TOPIC, 0, 1);
    rig.broker.topics.landUndecodable(TOPIC, 0, 2, "Nobody can decode it.");
    await rig.append(...others(3));
    await eventually(() => set.get(0)?.state === "halted");
    expect(await rig.deadLetters()).toHaveLength(1);
  });

  test("goes on where retention took the last record applied and some of that", async () => {
    await using log = await behind("an aborted transaction", 2);
    const { rig, set } = log;
    await set.close();
    await rig.log.deleteRecords(TOPIC, 0, 3);
    await rig.append(orderCreated({ orderId: "ORD-5", eventId: "d" }));
    const again = rig.start("x", [0]);
    await eventually(() => answerFor(again, "ORD-5") === "new");
  });

  test("halts where retention took the last record applied, and others are there", async () => {
    await using log = await behind("an aborted transaction", 2);
    const { rig, set } = log;
    await set.close();
    rig.broker.topics.elect(TOPIC, 0, 2);
    await rig.append(...others(5));
    await rig.log.deleteRecords(TOPIC, 0, 3);
    const again = rig.start("x", [0]);
    await eventually(() => again.get(0)?.state === "halted");
    expect(again.get(0)?.halted).toStartWith("At offset 3 the log holds a record, and held none there when all before offset 5");
  });

  /** A store as a version left it that did not count batches that nobody can decode. */
  async function storeFromBefore(rig: Rig, count: number) {
    const db = new Database(rig.storePath("x", 0));
    const results = await rig.log.reader(TOPIC).fetch(new Map([[0, 0]]), { wait_ms_max: 0, partition_bytes_max: 1_000 });
    const [first] = results.flatMap((result) => ("batch" in result ? result.batch.records : []));
    const last = count === 0 || !first ? undefined : lastRecordOf(first);
    db.run("UPDATE position SET last_offset = ?, last_checksum = ?", [last?.offset ?? null, last?.checksum ?? null]);
    db.run("ALTER TABLE position DROP COLUMN last_of_all");
    withoutGenerations(db);
    db.close();
  }

  test.each([1, 0])("a store from before goes on behind a batch that nobody can decode, after %d records", async (count) => {
    await using log = await behind("a batch that nobody can decode", count);
    const { rig, set } = log;
    await set.close();
    await storeFromBefore(rig, count);
    await rig.append(orderCreated({ orderId: "ORD-5", eventId: "d" }));
    const again = rig.start("x", [0]);
    await eventually(() => answerFor(again, "ORD-5") === "new");
    expect(await rig.deadLetters()).toHaveLength(1);
  });

  test.each([1, 0])("a store from before halts where there are records in its place, after %d records", async (count) => {
    await using log = await behind("a batch that nobody can decode", count);
    const { rig, set } = log;
    await set.close();
    await storeFromBefore(rig, count);
    rig.broker.topics.elect(TOPIC, 0, count);
    await rig.append(...others(5));
    const again = rig.start("x", [0]);
    await eventually(() => again.get(0)?.state === "halted");
  });
});
