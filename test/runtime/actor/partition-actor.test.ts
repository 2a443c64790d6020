import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { diskFull, filesWithFaults, isPositionWrite, type StatementFault } from "../../support/stores/store-faults.ts";
import { noFaults } from "../../log/memory/memory-log.ts";
import { orderCreated, recordOf, statusUpdated } from "../../support/events/orders.ts";
import { DEAD_LETTER_TOPIC, eventually, poison, Rig, TOPIC } from "../rig.ts";
import { orderProjection } from "../../../src/services/orders/state/order-projection.ts";

const states = ["confirmed", "shipped", "pending"] as const;

describe("a partition's actor", () => {
  test("runs once it has caught up, and answers from what it has applied", async () => {
    await using rig = new Rig();
    await rig.prepare(2);
    await rig.append(orderCreated(), statusUpdated({ eventId: "b", status: "shipped" }));
    const set = rig.start("x", [0, 1]);
    await eventually(() => [...set.held()].every((actor) => actor.state === "running"));
    expect(set.get(0)?.view(orderProjection)?.order("ORD-1")?.status).toBe("shipped");
    expect(set.get(0)?.nextOffset).toBe(2);
    expect(await set.get(0)?.reached(2, 0)).toBe(true);
    expect(await set.get(0)?.reached(3, 30)).toBe(false);
  });

  test("gives the same digest however the log was cut into batches, and after a rebuild (I3)", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const first = rig.start("piecemeal", [0]);
    for (let i = 0; i < 150; i++) {
      await rig.append(statusUpdated({ orderId: "ORD-7", eventId: `event-number-${i}`, status: states[i % 3] ?? "new" }));
      if (i === 80) await rig.append(orderCreated({ orderId: "ORD-7", eventId: "create" }));
      if (i % 10 === 0)
        await rig.append(statusUpdated({ orderId: "ORD-7", eventId: `event-number-${i >> 1}`, status: "cancelled" }));
      if (i % 7 === 0) expect(await first.get(0)?.reached(i, 2_000)).toBe(true);
    }
    // This is a duplicate of an event whose id is no longer in the row.
    await rig.append(statusUpdated({ orderId: "ORD-7", eventId: "event-number-1", status: "cancelled" }));
    const endOffset = (await rig.log.watermarks(TOPIC))[0]?.endOffset ?? 0;
    expect(await first.get(0)?.reached(endOffset, 2_000)).toBe(true);
    const second = rig.start("at-once", [0]);
    await eventually(() => second.get(0)?.nextOffset === endOffset);
    expect(second.get(0)?.digest).toBe(first.get(0)?.digest ?? "");
    expect(second.get(0)?.view(orderProjection)?.order("ORD-7")?.status).toBe(states[149 % 3] ?? "new");
    expect(second.get(0)?.view(orderProjection)?.rowsAfter("", 2)[0]?.eventIds).toHaveLength(151);
    await second.close();
    const reopened = rig.start("at-once", [0]);
    await rig.append(statusUpdated({ orderId: "ORD-7", eventId: "event-number-2", status: "cancelled" }));
    expect(await first.get(0)?.reached(endOffset + 1, 2_000)).toBe(true);
    await eventually(() => reopened.get(0)?.nextOffset === endOffset + 1);
    expect(reopened.get(0)?.digest).toBe(first.get(0)?.digest ?? "");
  });

  test("tells what has become readable: not what waits, is no event or counted before, as after a replay", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const events = [
      recordOf(orderCreated()),
      recordOf(statusUpdated({ eventId: "b", status: "shipped" })),
      recordOf(statusUpdated({ eventId: "c" })),
      recordOf(statusUpdated({ orderId: "ORD-2", eventId: "d" })),
    ];
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.state === "running");
    await rig.append(
      poison(0, "not JSON"),
      statusUpdated({ orderId: "ORD-2", eventId: "early" }),
      ...events,
      poison(0, "not JSON"),
    );
    await eventually(() => set.get(0)?.nextOffset === 7);
    expect(rig.readable).toEqual([2, 4]);
    await rig.append(...events, orderCreated({ eventId: "second create" }));
    await eventually(() => set.get(0)?.nextOffset === 12);
    expect(rig.readable).toEqual([2, 4]);
    await rig.append(events[0]!, statusUpdated({ eventId: "e", status: "confirmed" }), events[1]!);
    await eventually(() => set.get(0)?.nextOffset === 15);
    expect(rig.readable).toEqual([2, 4, 13]);
  });

  test("halts alone when its stored offset lies before the log's start", async () => {
    await using rig = new Rig();
    await rig.prepare(2);
    await rig.append(orderCreated(), recordOf(orderCreated({ orderId: "ORD-2" }), { partition: 1 }));
    const before = rig.start("x", [0, 1]);
    await eventually(() => [...before.held()].every((actor) => actor.nextOffset === 1));
    await before.close();
    await rig.append(
      statusUpdated({ eventId: "c", status: "shipped" }),
      statusUpdated({ eventId: "d" }),
      recordOf(statusUpdated({ orderId: "ORD-2", eventId: "e", status: "shipped" }), { partition: 1 }),
    );
    await rig.log.deleteRecords(TOPIC, 0, 2);
    const after = rig.start("x", [0, 1]);
    await eventually(() => after.get(0)?.state === "halted" && after.get(1)?.nextOffset === 2);
    expect(after.get(0)?.halted).toContain("removed unread");
    expect(after.get(1)?.view(orderProjection)?.order("ORD-2")?.status).toBe("shipped");
  });

  test("goes on when only what it has applied is removed", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(orderCreated());
    const before = rig.start("x", [0]);
    await eventually(() => before.get(0)?.nextOffset === 1);
    await before.close();
    await rig.log.deleteRecords(TOPIC, 0, 1);
    await rig.append(statusUpdated({ eventId: "b", status: "shipped" }));
    const after = rig.start("x", [0]);
    await eventually(() => after.get(0)?.view(orderProjection)?.order("ORD-1")?.status === "shipped");
  });

  test("halts when the log is shorter than what it applied, or holds another record there", async () => {
    await using rig = new Rig();
    await rig.prepare(2);
    await rig.append(
      orderCreated(),
      statusUpdated({ eventId: "b", status: "shipped" }),
      recordOf(orderCreated({ orderId: "ORD-2" }), { partition: 1 }),
    );
    const before = rig.start("x", [0, 1]);
    await eventually(() => before.get(0)?.nextOffset === 2 && before.get(1)?.nextOffset === 1);
    await before.close();
    // The same stores run against another log, with one record less in partition 0 and a different one in partition 1.
    await using other = new Rig();
    await other.prepare(2);
    await other.append(recordOf(orderCreated()), recordOf(orderCreated({ orderId: "ORD-9" }), { partition: 1 }));
    other.storePath = (name, partition) => rig.storePath(name, partition);
    const after = other.start("x", [0, 1]);
    await eventually(() => after.get(0)?.state === "halted" && after.get(1)?.state === "halted");
    expect(after.get(0)?.halted).toContain("made anew");
    expect(after.get(1)?.halted).toContain("another record");
  });

  test.each([1, 2])("saves again after %d transactions that failed, and loses nothing", async (count) => {
    await using rig = new Rig();
    await rig.prepare(1);
    let failures = count;
    const failing: StatementFault = (run) => {
      if (failures-- > 0) throw diskFull();
      return run();
    };
    const set = rig.start(
      "x",
      [0],
      filesWithFaults((sql) => (isPositionWrite(sql) ? failing : undefined)),
    );
    await rig.append(orderCreated(), statusUpdated({ eventId: "b", status: "shipped" }));
    await eventually(() => set.get(0)?.nextOffset === 2);
    expect(set.get(0)?.view(orderProjection)?.order("ORD-1")?.status).toBe("shipped");
    await eventually(() => rig.savedOffset("x", 0) === 2 && set.get(0)?.state === "running");
    const told = rig.warnings.filter((warning) => /STORE_FAILED|works again/.test(warning));
    expect(told).toEqual([
      expect.stringContaining("database or disk is full. Make room or mend the disk"),
      expect.stringContaining("works again"),
    ]);
  });

  test("applies nothing while it is not the owner", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const set = rig.start("x", [0]);
    await rig.append(orderCreated());
    await eventually(() => set.get(0)?.nextOffset === 1);
    rig.owner = false;
    await rig.append(statusUpdated({ eventId: "b", status: "shipped" }));
    await Bun.sleep(100);
    expect(set.get(0)?.nextOffset).toBe(1);
    rig.owner = true;
    await eventually(() => set.get(0)?.view(orderProjection)?.order("ORD-1")?.status === "shipped");
  });

  test("a damaged store, or another log's, is set aside and rebuilt", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(orderCreated());
    await Bun.write(rig.storePath("damaged", 0), "this is no database, and long enough to be looked at as one".repeat(50));
    const damaged = rig.start("damaged", [0]);
    await eventually(() => damaged.get(0)?.view(orderProjection)?.order("ORD-1") !== undefined);
    await damaged.close();
    const db = new Database(rig.storePath("damaged", 0));
    db.run("UPDATE store SET log_id = 'another'");
    db.run("UPDATE position SET next_offset = 99");
    db.close();
    const foreign = rig.start("damaged", [0]);
    await eventually(() => foreign.get(0)?.nextOffset === 1);
    expect(foreign.get(0)?.state).toBe("running");
  });
});

describe("dead letters", () => {
  test("keep bytes, key and headers, say why and whence, and hold up nothing", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const set = rig.start("x", [0]);
    await rig.append(orderCreated(), poison(0, "{"), statusUpdated({ eventId: "b", status: "shipped" }));
    await eventually(() => set.get(0)?.view(orderProjection)?.order("ORD-1")?.status === "shipped");
    const letters = await rig.deadLetters();
    expect(letters).toHaveLength(1);
    expect(letters[0]?.value).toBe("{");
    expect(Object.fromEntries(letters[0]?.headers ?? [])).toMatchObject({
      h: "1",
      "x-dead-letter-reason": "not_json",
      "x-dead-letter-topic": TOPIC,
      "x-dead-letter-partition": "0",
      "x-dead-letter-offset": "1",
    });
  });

  test("are appended once by a rebuild, by two owners at a time, and when an answer is lost (I6)", async () => {
    let answersToLose = 0;
    const lose = (topic: string) => topic === DEAD_LETTER_TOPIC && answersToLose-- > 0;
    await using rig = new Rig({
      ...noFaults,
      onAppend: (_, topic) => (lose(topic) ? "lose-answer" : "ok"),
    });
    await rig.prepare(2);
    const count = 60;
    const bad = Array.from({ length: count }, (_, i) => poison(i % 2, `bad ${i}`));
    answersToLose = 2;
    const one = rig.start("one", [0, 1]);
    const two = rig.start("two", [0, 1]);
    for (const each of bad) await rig.append(each);
    const done = () => [...one.held(), ...two.held()].every((actor) => actor.nextOffset === count / 2);
    await eventually(done);
    const rebuilt = rig.start("three", [0, 1]);
    await eventually(() => [...rebuilt.held()].every((actor) => actor.nextOffset === count / 2));
    const values = (await rig.deadLetters()).map((letter) => letter.value);
    expect(values.toSorted()).toEqual(bad.map(({ value }) => String(value)).toSorted());
  });

  test("wait for a topic that gives nothing to be read back, and let their partition be given up meanwhile", async () => {
    let gives = true;
    await using rig = new Rig({ ...noFaults, onFetch: (_, topic) => (topic === DEAD_LETTER_TOPIC && !gives ? "empty" : "ok") });
    await rig.prepare(1);
    await rig.append(poison(0, "bad 1"));
    const before = rig.start("x", [0]);
    await eventually(() => before.get(0)?.nextOffset === 1);
    await before.close();
    gives = false;
    await rig.append(poison(0, "bad 2"));
    const set = rig.start("x", [0]);
    const why = "Appending its dead letters fails: orders.dlq-0 cannot be read back at offset 0.";
    await eventually(() => set.get(0)?.state === "blocked");
    await eventually(() => set.get(0)?.hindered === why);
    const other = rig.start("y", [0]);
    await eventually(() => rig.warnings.filter((warning) => warning.includes("cannot be read back")).length === 2);
    await other.close();
    gives = true;
    await eventually(() => set.get(0)?.nextOffset === 2);
    expect((await rig.deadLetters()).map(({ value }) => value)).toEqual(["bad 1", "bad 2"]);
  });
});
