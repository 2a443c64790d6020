import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../../src/system/clock.ts";
import type { NewRecord, Timestamp } from "../../../../src/log/port.ts";
import { MemoryBroker, type MemoryFaults, noFaults } from "../../../log/memory/memory-log.ts";
import { deadLetterPage } from "../../../../src/services/orders/dead-letters/dead-letter-listing.ts";
import { DeadLetterTally } from "../../../../src/services/orders/dead-letters/dead-letter-tally.ts";
import { LogScans } from "../../../../src/services/orders/query/log-scan.ts";
import { timelinePage } from "../../../../src/services/orders/history/timeline.ts";
import { orderCreated, recordOf, statusUpdated } from "../../../support/events/orders.ts";

/** Histories of topics as other people's programs and brokers make them. */
const TOPIC = "orders";
const LETTERS = "orders.dlq";

async function opened(partitions: number, faults: Partial<MemoryFaults> = {}) {
  const broker = new MemoryBroker({
    clock: systemClock,
    newUuid: () => crypto.randomUUID(),
    faults: { ...noFaults, ...faults },
  });
  const log = broker.connect("test");
  for (const topic of [TOPIC, LETTERS]) await log.createTopic(topic, partitions, { anyTimestamp: true });
  const scans = new LogScans(log, systemClock);
  const append = (topic: string, ...records: NewRecord[]) => log.producer().append(topic, records);
  const timeline = (endOffset: number, { doubt }: { readonly doubt?: string } = {}) => {
    const places = [{ partition: 0, endOffset, isCreated: true }];
    return timelinePage(scans, TOPIC, "ORD-1", { places, doubtOf: () => doubt }, undefined, 50);
  };
  const letters = () => deadLetterPage(scans, TOPIC, LETTERS, undefined, undefined, 50);
  return { broker, log, scans, append, timeline, letters };
}

const stamped = (one: NewRecord, timestamp_ms: Timestamp): NewRecord => ({ ...one, timestamp_ms });
const letter = (partition: number, timestamp_ms: Timestamp): NewRecord => ({
  partition,
  key: "k",
  value: "v",
  timestamp_ms,
  headers: [["x-dead-letter-reason", "not_json"]],
});
const NANOSECONDS = 1_795_613_603_669_123_457n;

describe("an order's timeline", () => {
  test("has events of any timestamp, each shown as it is", async () => {
    const { append, timeline } = await opened(1);
    await append(
      TOPIC,
      stamped(recordOf(orderCreated({ eventId: "c" })), NANOSECONDS),
      stamped(recordOf(statusUpdated({ eventId: "u", status: "shipped" })), -8_640_000_000_000_001),
      stamped(recordOf(statusUpdated({ eventId: "v", status: "cancelled" })), 1_795_613_603_669),
    );
    expect((await timeline(3)).events.map(({ time, outcome }) => [time, outcome])).toEqual([
      ["1795613603669123457", "created"],
      ["-8640000000000001", "updated"],
      ["2026-11-25T13:33:23.669Z", "updated"],
    ]);
  });

  test("passes over a batch that cannot be decoded", async () => {
    const { broker, append, timeline } = await opened(1);
    await append(TOPIC, recordOf(orderCreated({ eventId: "c" })));
    broker.topics.landUndecodable(TOPIC, 0, 3, "It is none.");
    await append(TOPIC, recordOf(statusUpdated({ eventId: "u", status: "shipped" })));
    expect((await timeline(5)).events.map(({ offset }) => offset)).toEqual([0, 4]);
  });

  test("is told although another partition has no leader, and says which has none where it is its own", async () => {
    let leaderless = 1;
    const { append, timeline } = await opened(2, { leader: (_, partition) => (partition === leaderless ? "none" : "ok") });
    await append(TOPIC, recordOf(orderCreated({ eventId: "c" })));
    expect((await timeline(1)).events).toHaveLength(1);
    leaderless = 0;
    await expect(timeline(1)).rejects.toMatchObject({
      code: "LOG_UNAVAILABLE",
      message: expect.stringContaining("orders-0 has no leader"),
    });
  });

  test("is not told where the log may be another one by now, and again once it is known", async () => {
    const { broker, append, timeline } = await opened(1);
    await append(TOPIC, recordOf(orderCreated({ eventId: "c" })));
    await expect(timeline(1, { doubt: "The leader changed." })).rejects.toMatchObject({ code: "LOG_UNAVAILABLE" });
    expect((await timeline(1)).events).toHaveLength(1);
    // A reader that was idle during the election goes on under the new leader.
    broker.topics.elect(TOPIC, 0);
    expect((await timeline(1)).events).toHaveLength(1);
  });

  test("is of one log: a page ends where the log lost what was read for it", async () => {
    const { broker, append, scans } = await opened(1);
    for (let n = 0; n < 3; n++) await append(TOPIC, recordOf(statusUpdated({ eventId: `${n}` }), { value: "x".repeat(900_000) }));
    const read = scans.run(TOPIC, (scan) =>
      scan.read(0, 0, 3, ({ offset }) => {
        if (offset === 0) broker.topics.elect(TOPIC, 0, 0);
        return true;
      }),
    );
    await expect(read).rejects.toMatchObject({
      code: "LOG_UNAVAILABLE",
      message: expect.stringContaining("orders-0 may have changed while it was read"),
    });
  });
});

describe("the dead letters", () => {
  test("are listed whatever their timestamps, the newest first", async () => {
    const { append, letters } = await opened(3);
    await append(LETTERS, letter(0, 1_795_613_603_669), letter(1, NANOSECONDS), letter(2, -(2n ** 63n)));
    expect((await letters()).letters.map(({ time }) => time)).toEqual([
      "1795613603669123457",
      "2026-11-25T13:33:23.669Z",
      "-9223372036854775808",
    ]);
  });

  test("of partitions without a leader are named as missing, and the others listed and counted", async () => {
    let isDown = (partition: number): boolean => partition === 1;
    const { append, letters, scans } = await opened(2, {
      leader: (topic, partition) => (topic === LETTERS && isDown(partition) ? "none" : "ok"),
    });
    await append(LETTERS, letter(0, 1));
    expect(await letters()).toMatchObject({
      letters: [{ partition: 0 }],
      unavailable: [{ partition: 1, reason: "The partition orders.dlq-1 has no leader now." }],
      next: undefined,
    });
    const tally = new DeadLetterTally(scans, TOPIC, LETTERS);
    await tally.read();
    expect(tally.counts).toMatchObject({ letters: 1, isComplete: false });
    isDown = () => true;
    await expect(letters()).rejects.toMatchObject({ code: "LOG_UNAVAILABLE" });
  });

  test("what cannot be decoded among them says so", async () => {
    const { broker, letters } = await opened(1);
    broker.topics.landUndecodable(LETTERS, 0, 2, "Its checksum is wrong.");
    expect((await letters()).letters).toMatchObject([
      { reason: "undecodable_batch", detail: "Its checksum is wrong.", value: null },
    ]);
  });
});
