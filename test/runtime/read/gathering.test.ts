import { expect, test } from "bun:test";
import type { EndOffsets } from "../../../src/log/port.ts";
import type { HeldPartitions } from "../../../src/runtime/held-partitions.ts";
import { NewestEnds } from "../../../src/runtime/read/newest-ends.ts";
import { NewestRecords } from "../../../src/services/orders/query/newest-records.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { findOrder } from "../../support/find-order.ts";
import { orderCreated, recordOf, statusUpdated } from "../../support/events/orders.ts";
import { noFaults } from "../../log/memory/memory-log.ts";
import { eventually, Rig, TOPIC } from "../rig.ts";

/** Longer than a test waits. */
const GATHER_MS = 3_600_000;

/** Partitions of which the first has applied two records; further ones gather. */
async function gathering(rig: Rig, partitions = [0]) {
  rig.gather_ms = GATHER_MS;
  await rig.prepare(partitions.length);
  const set = rig.start("x", partitions);
  const applied = () => set.get(0)?.nextOffset;
  // The first is read while the partition catches up, the second by the fetch that is under way then.
  for (const orderId of ["ORD-0", "ORD-1"]) {
    const [offset = -1] = await rig.append(recordOf(orderCreated({ orderId })));
    await eventually(() => applied() === offset + 1);
  }
  return { set, applied };
}

test("records gather between two fetches, unless somebody asks for a position or for an order that is not there", async () => {
  await using rig = new Rig();
  const { set, applied } = await gathering(rig);
  const statusOf = (orderId: string): string => findOrder(set, () => 0, orderId).status;

  await rig.append(recordOf(orderCreated({ orderId: "ORD-2" })));
  expect(statusOf("ORD-1")).toBe("new");
  await Bun.sleep(200);
  expect(applied()).toBe(2);

  expect(() => statusOf("ORD-2")).toThrow("There is no order ORD-2.");
  const newest = new NewestRecords(set, new NewestEnds(rig.log, TOPIC, systemClock), systemClock);
  expect(await newest.applied(0, [], 10_000)).toEqual(new Map());
  expect(applied()).toBe(3);
  expect(statusOf("ORD-2")).toBe("new");

  // The fetch that was begun for whoever asked takes the next one.
  await rig.append(recordOf(statusUpdated({ orderId: "ORD-2", status: "confirmed" })));
  await eventually(() => applied() === 4);
  await rig.append(recordOf(statusUpdated({ orderId: "ORD-2", eventId: "later", status: "shipped" })));
  await Bun.sleep(200);
  expect(applied()).toBe(4);
  expect(await set.get(0)?.reached(5, 10_000)).toBe(true);
  expect(statusOf("ORD-2")).toBe("shipped");
});

test("what is waited for is read first of all that gathered, and the others right after it", async () => {
  await using rig = new Rig();
  const { set } = await gathering(rig, [0, 1]);
  await rig.append(recordOf(orderCreated({ orderId: "ORD-2" })), {
    ...recordOf(orderCreated({ orderId: "ORD-3" })),
    partition: 1,
  });
  const otherWhenReached = set
    .get(0)
    ?.reached(3, 10_000)
    .then((isReached) => [isReached, set.get(1)?.nextOffset]);
  expect(await otherWhenReached).toEqual([true, 0]);
  await eventually(() => set.get(1)?.nextOffset === 1);
});

test("what gathered is read also when whoever hurried it has given up and got nothing", async () => {
  await using rig = new Rig();
  const { set } = await gathering(rig, [0, 1]);
  await rig.append({ ...recordOf(orderCreated({ orderId: "ORD-3" })), partition: 1 });
  const leaving = new AbortController();
  const waiting = set.get(0)?.reached(3, 10_000, leaving.signal);
  await Bun.sleep(1);
  leaving.abort();
  expect(await waiting).toBe(false);
  await eventually(() => set.get(1)?.nextOffset === 1);
});

test("what gathered is read also while somebody waits for what does not come", async () => {
  await using rig = new Rig();
  const { set } = await gathering(rig, [0, 1]);
  await rig.append({ ...recordOf(orderCreated({ orderId: "ORD-3" })), partition: 1 });
  const waiting = set.get(0)?.reached(1_000, 10_000);
  await eventually(() => set.get(1)?.nextOffset === 1);
  await rig.append({ ...recordOf(orderCreated({ orderId: "ORD-4" })), partition: 1 });
  await eventually(() => set.get(1)?.nextOffset === 2);
  expect(await Promise.race([waiting, "waits"])).toBe("waits");
});

test("nothing gathers while a fetch leaves records behind: a broker gives at most one segment at a time", async () => {
  let isPartial = false;
  await using rig = new Rig({ ...noFaults, onFetch: () => (isPartial ? "partial" : "ok") });
  const { set, applied } = await gathering(rig);
  isPartial = true;
  for (const orderId of ["ORD-2", "ORD-3", "ORD-4", "ORD-5", "ORD-6"]) await rig.append(recordOf(orderCreated({ orderId })));
  expect(await set.get(0)?.reached(3, 10_000)).toBe(true);
  await eventually(() => applied() === 7);
});

test("what gathers is read while the log is asked where it ends", async () => {
  await using rig = new Rig();
  const { set, applied } = await gathering(rig);
  await rig.append(recordOf(orderCreated({ orderId: "ORD-2" })));
  const told = Promise.withResolvers<EndOffsets>();
  const newest = new NewestRecords(set, new NewestEnds({ endOffsets: () => told.promise }, TOPIC, systemClock), systemClock);
  const applying = newest.applied(0, [], 10_000);
  await eventually(() => applied() === 3);
  told.resolve({ topicId: undefined, partitions: [Promise.resolve({ endOffset: 3, leaderEpoch: 0 })] });
  expect(await applying).toEqual(new Map());
});

test("an order that comes while the log is asked where it ends is told at once, and nothing hurries then", async () => {
  await using rig = new Rig();
  const { set, applied } = await gathering(rig);
  await rig.append(recordOf(orderCreated({ orderId: "ORD-2" })));
  const never = new Promise<EndOffsets>(() => undefined);
  const newest = new NewestRecords(set, new NewestEnds({ endOffsets: () => never }, TOPIC, systemClock), systemClock);
  const isFound = () => applied() === 4;
  const applying = newest.applied(0, [], 10_000, { isFound });
  await eventually(() => applied() === 3);
  expect(await Promise.race([applying, Bun.sleep(100).then(() => "waits")])).toBe("waits");
  await rig.append(recordOf(statusUpdated({ orderId: "ORD-2", status: "confirmed" })));
  expect(await applying).toEqual(new Map());
  expect(set.get(0)?.isAwaited).toBe(false);
});

test("an order that is applied between two looks is not overlooked", async () => {
  let isThere = false;
  const held = {
    nextOffset: 0,
    reached: (offset: number) => {
      if (offset > 2) return new Promise<boolean>(() => undefined);
      held.nextOffset = Math.max(offset, held.nextOffset);
      return Promise.resolve(true);
    },
  };
  const clock = {
    ...systemClock,
    yield: () => {
      held.nextOffset = 2;
      isThere = true;
      return Promise.resolve();
    },
  };
  const ends = new NewestEnds({ endOffsets: () => new Promise(() => undefined) }, TOPIC, systemClock);
  const newest = new NewestRecords({ get: () => held } as unknown as HeldPartitions, ends, clock);
  const applying = newest.applied(0, [], 10_000, { isFound: () => isThere });
  expect(await Promise.race([applying, Bun.sleep(1_000)])).toEqual(new Map());
});

test("an order is not looked for any more once all is applied without it", async () => {
  let looks = 0;
  const held = {
    nextOffset: 0,
    leaderEpoch: 0,
    // Something is applied in each turn.
    reached: async () => {
      held.nextOffset++;
      return true;
    },
  };
  const ends = new NewestEnds(
    { endOffsets: async () => ({ topicId: undefined, partitions: [Promise.resolve({ endOffset: 0, leaderEpoch: 0 })] }) },
    TOPIC,
    systemClock,
  );
  const newest = new NewestRecords({ get: () => held } as unknown as HeldPartitions, ends, systemClock);
  const isFound = () => {
    looks++;
    return false;
  };
  await newest.applied(0, [], 10_000, { isFound });
  const looked = looks;
  await Bun.sleep(20);
  expect(looks).toBeLessThanOrEqual(looked + 1);
});
