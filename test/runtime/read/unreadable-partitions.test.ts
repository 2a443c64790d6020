import { LOOK_WAIT_MS } from "../../../src/runtime/read/regular-look.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { describe, expect, test } from "bun:test";
import { readiness } from "../../../src/http/health.ts";
import { type FetchFault, type LeaderFault, noFaults } from "../../log/memory/memory-log.ts";
import { requireAllTrusted } from "../../../src/services/orders/query/trust.ts";
import { findOrder } from "../../support/find-order.ts";
import { UnreadRecords } from "../../../src/services/orders/query/unread/unread-records.ts";
import { orderCreated, recordOf, statusUpdated } from "../../support/events/orders.ts";
import { answerFor, eventually, Rig, TOPIC } from "../rig.ts";

/** ORD-1 in partition 0, ORD-9 in partition 1, nothing in partition 2; `leaders` can take a partition's leader away. */
async function threePartitions() {
  const leaders = new Map<number, LeaderFault>();
  const rig = new Rig({ ...noFaults, leader: (topic, partition) => (topic === TOPIC ? (leaders.get(partition) ?? "ok") : "ok") });
  await rig.prepare(3);
  await rig.append(orderCreated(), recordOf(orderCreated({ orderId: "ORD-9" }), { partition: 1 }));
  const set = rig.start("x", [0, 1, 2]);
  await eventually(() => readiness(set).status === "ready" && set.get(0)?.nextOffset === 1 && set.get(1)?.nextOffset === 1);
  return { rig, set, leaders, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
}

describe("partitions without a leader", () => {
  test("concern themselves alone: the others read, deny and are ready, and it is said which cannot be read, and why", async () => {
    await using log = await threePartitions();
    const { rig, set, leaders } = log;
    for (const partition of [1, 2]) leaders.set(partition, "none");
    rig.broker.topics.notify();
    await eventually(() => set.get(1)?.hindered !== undefined && set.get(2)?.hindered !== undefined);
    await rig.append(orderCreated({ orderId: "ORD-2" }));
    await eventually(() => answerFor(set, "ORD-2") === "new");
    expect(answerFor(set, "ORD-7", 0)).toBe("ORDER_NOT_FOUND");
    expect(answerFor(set, "ORD-7", 1)).toBe("LOG_UNAVAILABLE");
    expect(answerFor(set, "ORD-9", 1)).toBe("new");
    expect(() => requireAllTrusted(set, [...set.held()])).not.toThrow();
    rig.passed_ms = 10_000;
    const why = expect.stringContaining("has no leader");
    expect(readiness(set)).toMatchObject({
      status: "ready",
      reason: why,
      partitions: [{}, { state: "running", reason: why }, { reason: why }],
    });
    leaders.clear();
    await rig.append(recordOf(statusUpdated({ orderId: "ORD-9", eventId: "d", status: "shipped" }), { partition: 1 }));
    await eventually(() => answerFor(set, "ORD-9", 1) === "shipped" && set.get(2)?.hindered === undefined);
    await eventually(() => answerFor(set, "ORD-7", 1) === "ORDER_NOT_FOUND");
  });

  test("at the start do not keep the others from their work, where it is known what they had", async () => {
    await using log = await threePartitions();
    const { rig, set, leaders } = log;
    await set.close();
    for (const partition of [1, 2]) leaders.set(partition, "none");
    const again = rig.start("x", [0, 1, 2]);
    await eventually(() => answerFor(again, "ORD-7", 0) === "ORDER_NOT_FOUND");
    expect(answerFor(again, "ORD-1")).toBe("new");
    expect(readiness(again).status).toBe("ready");
    // What is applied of partition 1 has not been compared with the log yet.
    expect(answerFor(again, "ORD-9", 1)).toBe("LOG_UNAVAILABLE");
    leaders.clear();
    await eventually(() => answerFor(again, "ORD-9", 1) === "new");
  });

  test("whose store is new may hold any order", async () => {
    await using log = await threePartitions();
    const { rig, leaders } = log;
    leaders.set(1, "none");
    const anew = rig.start("anew", [0, 1, 2]);
    await eventually(() => anew.get(0)?.state === "running" && anew.get(1)?.hindered !== undefined);
    expect(answerFor(anew, "ORD-7", 0)).toBe("LOG_UNAVAILABLE");
    expect(() => requireAllTrusted(anew, [...anew.held()])).toThrow(expect.objectContaining({ code: "LOG_UNAVAILABLE" }));
  });

  test("that are all there are make the service unready once that has lasted", async () => {
    await using log = await threePartitions();
    const { rig, set, leaders } = log;
    for (const partition of [0, 1, 2]) leaders.set(partition, "none");
    rig.broker.topics.notify();
    await eventually(() => [...set.held()].every(({ hindered }) => hindered !== undefined));
    expect(readiness(set).status).toBe("ready");
    rig.passed_ms = 2_000;
    expect(readiness(set)).toMatchObject({ status: "unreadable", reason: expect.stringContaining("Partition 0: ") });
    expect(new Date(String(readiness(set).since)).getTime()).toBeLessThanOrEqual(Date.now() - 2_000);
    leaders.clear();
    rig.broker.topics.notify();
    await eventually(() => readiness(set).status === "ready");
  });
});

describe("a log that lost its first records before a store read them", () => {
  const trimmed = async (rig: Rig) => {
    await rig.prepare(2);
    await rig.append(
      ...["1", "2", "3"].map((id) => orderCreated({ orderId: `ORD-${id}` })),
      recordOf(orderCreated({ orderId: "ORD-9" }), { partition: 1 }),
    );
    await rig.log.deleteRecords(TOPIC, 0, 2);
  };

  test("halts a new one, which says what is missing and how to go on without", async () => {
    await using rig = new Rig();
    await trimmed(rig);
    const set = rig.start("x", [0, 1]);
    await eventually(() => set.get(0)?.state === "halted" && set.get(1)?.state === "running");
    expect(set.get(0)?.halted).toMatch(
      /begins at offset 2: the records 0 to 1 were removed .* First start the service that had this .* The last resort is LOG_START=accept/,
    );
    expect(answerFor(set, "ORD-3")).toBe("PARTITION_HALTED");
    await rig.append(orderCreated({ orderId: "ORD-4" }));
    await waitUntil("for the halted one's end", () => set.get(0)?.endOffset === 4, { wait_ms_max: 3 * LOOK_WAIT_MS });
    await set.close();
    rig.mayBeginLate = true;
    const again = rig.start("x", [0, 1]);
    await eventually(() => readiness(again).status === "ready");
    expect(answerFor(again, "ORD-3")).toBe("new");
  });

  test("is taken where that is accepted; each 404 and health tell it, also after a restart", async () => {
    await using rig = new Rig();
    rig.mayBeginLate = true;
    await trimmed(rig);
    const first = rig.start("x", [0, 1]);
    await eventually(() => readiness(first).status === "ready");
    await first.close();
    rig.mayBeginLate = false;
    const set = rig.start("x", [0, 1]);
    await eventually(() => readiness(set).status === "ready");
    expect(set.get(0)?.startedAt).toBe(2);
    expect(readiness(set).partitions).toEqual([
      expect.objectContaining({ startedAt: 2 }),
      expect.not.objectContaining({ startedAt: expect.anything() }),
    ]);
    expect(answerFor(set, "ORD-3")).toBe("new");
    expect(() => findOrder(set, () => 1, "ORD-1")).toThrow(/There is no order ORD-1\. .*partition 0 from offset 2 on/);
  });
});

describe("another program's transaction that stays open", () => {
  test("hides what was acknowledged behind it: nothing that may be there is denied, and why is said, until it ends", async () => {
    await using log = await threePartitions();
    const { rig, set } = log;
    const transaction = rig.broker.topics.openTransaction(TOPIC, [recordOf(orderCreated({ orderId: "ORD-5" }))]);
    await rig.append(orderCreated({ orderId: "ORD-7" }));
    // The reader notices it; nobody has to ask for the ends.
    await eventually(() => answerFor(set, "ORD-7", 0) === "LOG_UNAVAILABLE");
    // A transaction that is open only briefly is not reported.
    expect([set.get(0)?.hindered, set.get(0)?.since_ms]).toEqual([undefined, undefined]);
    rig.passed_ms = 5_000;
    const why = expect.stringContaining("transaction is open at offset 1");
    const since = expect.stringMatching(/Z$/);
    const hidden = { state: "running", reason: why, since };
    expect(readiness(set)).toMatchObject({ status: "ready", reason: why, since, partitions: [hidden, {}, {}] });
    await waitUntil(
      "for the log to tell of it",
      () => rig.warnings.some((warning) => warning.includes("partition 0: Another program's transaction")),
      { wait_ms_max: 3 * LOOK_WAIT_MS },
    );
    expect(answerFor(set, "ORD-7", 0)).toBe("LOG_UNAVAILABLE");
    expect(answerFor(set, "ORD-1", 0)).toBe("new");
    transaction.end(true);
    await eventually(() => answerFor(set, "ORD-7", 0) === "new" && answerFor(set, "ORD-5", 0) === "new");
    expect(answerFor(set, "ORD-8", 0)).toBe("ORDER_NOT_FOUND");
  });

  test("is not waited for after a restart: what can be read is read, and what is hidden is not denied", async () => {
    await using log = await threePartitions();
    const { rig, set } = log;
    await set.close();
    await rig.append(orderCreated({ orderId: "ORD-2" }));
    const transaction = rig.broker.topics.openTransaction(TOPIC, [recordOf(orderCreated({ orderId: "ORD-5" }))]);
    const again = rig.start("x", [0, 1, 2]);
    await eventually(() => readiness(again).status === "ready");
    expect(again.get(0)?.isComplete).toBe(true);
    expect(answerFor(again, "ORD-2", 0)).toBe("new");
    expect(answerFor(again, "ORD-5", 0)).toBe("LOG_UNAVAILABLE");
    // For an order of another partition, the unread records are searched.
    const unread = new UnreadRecords(rig.log, TOPIC, rig.clock);
    const answerAt1 = async (orderId: string) => answerFor(again, orderId, 1, await unread.without(orderId, [again.get(0)!]));
    expect([await answerAt1("ORD-5"), await answerAt1("ORD-7")]).toEqual(["LOG_UNAVAILABLE", "ORDER_NOT_FOUND"]);
    transaction.end(true);
    await eventually(() => answerFor(again, "ORD-5", 0) === "new");
  });
});

test("what a quota keeps from being read is not denied, from when it is heard of", async () => {
  const faults = { fetch: "ok" as FetchFault };
  await using rig = new Rig({ ...noFaults, onFetch: () => faults.fetch });
  await rig.prepare(1);
  const quota = { isThrottled: false };
  const reader = rig.log.reader.bind(rig.log);
  rig.log.reader = (topic) => Object.defineProperty(reader(topic), "isThrottled", { get: () => quota.isThrottled });
  const set = rig.start("x", [0]);
  await eventually(() => readiness(set).status === "ready");
  faults.fetch = "empty";
  await rig.append(orderCreated());
  set.get(0)?.hear(set.get(0)?.question, await rig.log.ends(TOPIC));
  // Fetched records are applied soon.
  expect(answerFor(set, "ORD-1")).toBe("ORDER_NOT_FOUND");
  quota.isThrottled = true;
  expect(answerFor(set, "ORD-1")).toBe("CATCHING_UP");
  faults.fetch = "ok";
  await eventually(() => answerFor(set, "ORD-1") === "new");
  expect(answerFor(set, "ORD-2")).toBe("ORDER_NOT_FOUND");
});
