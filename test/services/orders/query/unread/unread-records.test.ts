import { describe, expect, test } from "bun:test";
import type { AppError } from "../../../../../src/errors.ts";
import { InFlight } from "../../../../../src/http/in-flight.ts";
import type { EndOffsets, NewRecord } from "../../../../../src/log/port.ts";
import type { PartitionView } from "../../../../../src/runtime/held-partitions.ts";
import { NewestEnds } from "../../../../../src/runtime/read/newest-ends.ts";
import { NewestRecords } from "../../../../../src/services/orders/query/newest-records.ts";
import { OrderSearch } from "../../../../../src/services/orders/query/order-search.ts";
import { UNREAD_WAIT_MS_MAX, UnreadRecords } from "../../../../../src/services/orders/query/unread/unread-records.ts";
import { type Clock, systemClock } from "../../../../../src/system/clock.ts";
import { type FetchFault, MemoryBroker, noFaults } from "../../../../log/memory/memory-log.ts";
import { eventually, Rig, TOPIC } from "../../../../runtime/rig.ts";
import { orderCreated, recordOf } from "../../../../support/events/orders.ts";
import { loneFleet } from "../../../../support/fleets/lone-fleet.ts";
import { ManualClock } from "../../../../support/manual-clock.ts";

const MINUTE_MS = 60_000;
const record = (key: string, partition = 0): NewRecord => ({ partition, key, value: key, headers: [], timestamp_ms: 0 });

interface OpenedOptions {
  readonly clock?: Clock;
  readonly keys_max?: number;
}

/** Two partitions, of which nothing is applied unless the test says so, and a count of what the log is asked. */
async function opened({ clock = systemClock, keys_max }: OpenedOptions = {}) {
  const asked = { ends: 0, fetches: 0 };
  const onFetch = { now: (): FetchFault => "ok" };
  let ids = 0;
  const faults = { ...noFaults, onFetch: () => (asked.fetches++, onFetch.now()) };
  const broker = new MemoryBroker({ clock, newUuid: () => `id-${ids++}`, faults });
  const log = broker.connect("test");
  const endOffsets = log.endOffsets.bind(log);
  const onEnds = { now: (told: EndOffsets, _partition: number): EndOffsets | Promise<EndOffsets> => told };
  log.endOffsets = async (topic, wanted, isolation) => {
    asked.ends++;
    return onEnds.now(await endOffsets(topic, wanted, isolation), [...(wanted ?? [])][0]!);
  };
  const append = (...keys: string[]) =>
    log.producer().append(
      TOPIC,
      keys.map((key) => record(key)),
    );
  await log.createTopic(TOPIC, 2);
  const unread = new UnreadRecords(log, TOPIC, clock, keys_max);
  const views = (...nextOffsets: number[]) =>
    nextOffsets.map((nextOffset, partition) => ({ partition, nextOffset }) as PartitionView);
  /** Whether the order is known not to be among the unread records of partition 0. */
  const lacks = async (orderId: string, nextOffset = 0) => (await unread.without(orderId, views(nextOffset))).has(0);
  return { broker, log, asked, onFetch, onEnds, append, unread, views, lacks };
}

test("200 unknown orders are all 404 at once while another partition waits for a transaction", async () => {
  await using rig = new Rig();
  await rig.prepare(2);
  const set = rig.start("x", [0, 1]);
  await eventually(() => set.get(1)?.state === "running" && set.get(0)?.state === "running");
  rig.broker.topics.openTransaction(TOPIC, [recordOf(orderCreated({ orderId: "ORD-5" }))]);
  await rig.append(orderCreated({ orderId: "ORD-6" }));
  await eventually(() => set.get(0)?.isLagging === true);
  const search = new OrderSearch({
    partitions: set,
    partitionOf: () => 1,
    fleet: loneFleet(),
    newest: new NewestRecords(set, new NewestEnds(rig.log, TOPIC, systemClock), systemClock),
    unread: new UnreadRecords(rig.log, TOPIC, systemClock),
    read_wait_ms_max: 100,
    inFlight: new InFlight(1_000),
    clock: systemClock,
  });
  const answer = (orderId: string) => search.details(orderId, undefined, { client: "192.0.2.1" }).catch((e: AppError) => e.code);
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => answer(`ORD-${100 + n}`)));
  expect(new Set(answers)).toEqual(new Set(["ORDER_NOT_FOUND"]));
  // The transaction may be committed, and what lies behind it is acknowledged.
  expect(await Promise.all(["ORD-5", "ORD-6"].map(answer))).toEqual(["LOG_UNAVAILABLE", "LOG_UNAVAILABLE"]);
});

test("whoever asks at the same time shares a read, and what was read is not read again", async () => {
  const { asked, append, lacks } = await opened();
  await append(...Array.from({ length: 300 }, (_, n) => `ORD-${n}`));
  const answers = () => Promise.all(Array.from({ length: 200 }, (_, n) => lacks(`ORD-${1_000 + n}`)));
  expect(new Set(await answers())).toEqual(new Set([true]));
  expect(asked).toEqual({ ends: 1, fetches: 1 });
  // The topic's id and the leader's epoch show that the log is still the same. Some may ask after a record is applied.
  expect(await Promise.all([lacks("ORD-0", 1), lacks("ORD-1000"), lacks("ORD-1", 1)])).toEqual([true, true, false]);
  expect(asked).toEqual({ ends: 2, fetches: 1 });
});

test("each partition has one reader, however many ask, until what it read is dropped", async () => {
  const { log, append, unread, views } = await opened();
  let readers = 0;
  let closed = 0;
  const reader = log.reader.bind(log);
  log.reader = (...options) => {
    readers++;
    const one = reader(...options);
    const close = one.close.bind(one);
    return Object.assign(one, { close: () => (closed++, close()) });
  };
  for (let n = 0; n < 5; n++) {
    await append(`ORD-${n}`);
    expect(await unread.without("ORD-99", views(0, 0))).toEqual(new Set([0, 1]));
  }
  expect([readers, closed]).toEqual([1, 0]);
  // All is applied, and the next records are read anew.
  await append("ORD-6");
  expect(await unread.without("ORD-99", views(5))).toEqual(new Set([0]));
  expect([readers, closed]).toEqual([2, 1]);
});

test("an order is there for as long as its last record is unread", async () => {
  const { append, lacks } = await opened();
  await append("ORD-1", "ORD-2", "ORD-1", "ORD-3");
  expect([await lacks("ORD-1"), await lacks("ORD-1", 2), await lacks("ORD-1", 3)]).toEqual([false, false, true]);
  // A partition that was taken over anew may be further back.
  expect([await lacks("ORD-2"), await lacks("ORD-4")]).toEqual([false, true]);
  await append("ORD-4");
  expect([await lacks("ORD-4"), await lacks("ORD-4", 4), await lacks("ORD-4", 5)]).toEqual([false, false, true]);
  expect(await lacks("ORD-5", 6)).toBe(false);
});

test("an end that was asked for before the question is not taken for the log's", async () => {
  const { append, lacks, onEnds } = await opened();
  await append("ORD-1");
  const [isAsked, mayTell] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  onEnds.now = async (told) => {
    isAsked.resolve();
    await mayTell.promise;
    return told;
  };
  const before = lacks("ORD-2");
  await isAsked.promise;
  await append("ORD-2");
  const after = lacks("ORD-2");
  mayTell.resolve();
  expect([await before, await after]).toEqual([true, false]);
});

describe("what was read is dropped", () => {
  const readThree = async () => {
    const each = await opened();
    await each.append("ORD-1", "ORD-2", "ORD-3");
    expect(await each.lacks("ORD-9")).toBe(true);
    return each;
  };

  test("when another leader has other records there", async () => {
    const { broker, append, lacks } = await readThree();
    broker.topics.elect(TOPIC, 0, 1);
    await append("ORD-9", "ORD-8", "ORD-7");
    expect([await lacks("ORD-10"), await lacks("ORD-9"), await lacks("ORD-2")]).toEqual([true, false, true]);
  });

  test("when the topic was made anew", async () => {
    const { broker, log, append, lacks } = await readThree();
    broker.topics.deleteTopic(TOPIC);
    await log.createTopic(TOPIC, 2);
    await append("ORD-9", "ORD-8", "ORD-7", "ORD-6");
    expect([await lacks("ORD-10"), await lacks("ORD-9"), await lacks("ORD-2")]).toEqual([true, false, true]);
  });

  test.each(["made anew", "cut"])("when the topic was %s, in a log that has neither topic ids nor epochs", async (how) => {
    const { broker, log, append, lacks, onEnds } = await opened();
    onEnds.now = (told) => ({ ...told, topicId: undefined });
    await append("ORD-1", "ORD-2", "ORD-3");
    expect(await lacks("ORD-9")).toBe(true);
    if (how === "cut") broker.topics.loseTail(TOPIC, 0, 0);
    else broker.topics.deleteTopic(TOPIC);
    await log.createTopic(TOPIC, 2);
    await append("ORD-9", "ORD-8", "ORD-7");
    expect(await lacks("ORD-9")).toBe(false);
    expect([await lacks("ORD-10"), await lacks("ORD-9"), await lacks("ORD-2")]).toEqual([true, false, true]);
  });

  test("when the log ends before it", async () => {
    const { broker, append, lacks, onEnds } = await readThree();
    onEnds.now = ({ topicId, partitions }) => ({
      topicId,
      partitions: partitions.map(async (end) => ({ ...(await end), leaderEpoch: 0 })),
    });
    broker.topics.loseTail(TOPIC, 0, 1);
    await append("ORD-9");
    expect([await lacks("ORD-10"), await lacks("ORD-9")]).toEqual([true, false]);
  });

  test("when a read fails, which denies nothing", async () => {
    const { append, lacks, onFetch } = await readThree();
    await append("ORD-4");
    onFetch.now = () => "reject";
    expect([await lacks("ORD-9"), await lacks("ORD-4")]).toEqual([false, false]);
    onFetch.now = () => "ok";
    expect([await lacks("ORD-9"), await lacks("ORD-4")]).toEqual([true, false]);
  });
});

test("a read that its bounds end early denies nothing, and the next one goes on from there", async () => {
  const clock = new ManualClock();
  const { asked, append, lacks, onFetch } = await opened({ clock });
  await append(...Array.from({ length: 10 }, (_, n) => `ORD-${n}`));
  onFetch.now = () => {
    clock.leap(250);
    return "partial";
  };
  expect([await lacks("ORD-9"), await lacks("ORD-99")]).toEqual([false, false]);
  expect([await lacks("ORD-99"), await lacks("ORD-99"), await lacks("ORD-9")]).toEqual([true, true, false]);
  // Ten records, and the last one again for each of the two reads that had more to read.
  expect(asked.fetches).toBe(12);
});

test("beyond the keys that are kept nothing is denied, until there is room", async () => {
  const clock = new ManualClock();
  const { log, append, unread, views, lacks } = await opened({ clock, keys_max: 3 });
  await append("ORD-1", "ORD-2", "ORD-1", "ORD-3", "ORD-4");
  await log.producer().append(TOPIC, [record("ORD-5", 1)]);
  expect([await lacks("ORD-4"), await lacks("ORD-99")]).toEqual([false, false]);
  const both = async (orderId: string) => await unread.without(orderId, views(2, 0));
  expect(await both("ORD-99")).toEqual(new Set([0]));
  expect(await both("ORD-4")).toEqual(new Set());
  // What nobody asks about makes room for the others.
  await clock.pass(MINUTE_MS + 1);
  const other = () => unread.without("ORD-99", views(0, 0).slice(1));
  expect(await other()).toEqual(new Set([1]));
});

test("one partition whose leader is silent holds up no other, and nobody waits for it for long", async () => {
  const { append, unread, views, onEnds } = await opened();
  await append("ORD-1");
  onEnds.now = (told, partition) => (partition === 0 ? new Promise(() => {}) : told);
  const began_ms = performance.now();
  expect(await unread.without("ORD-99", views(0, 0))).toEqual(new Set([1]));
  expect(performance.now() - began_ms).toBeLessThan(3 * UNREAD_WAIT_MS_MAX);
});
