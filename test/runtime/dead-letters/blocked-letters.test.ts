import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { readiness } from "../../../src/http/health.ts";
import { type MemoryFaults, noFaults } from "../../log/memory/memory-log.ts";
import { UnreadRecords } from "../../../src/services/orders/query/unread/unread-records.ts";
import type { PartitionView } from "../../../src/runtime/held-partitions.ts";
import { orderCreated, recordOf, statusUpdated } from "../../support/events/orders.ts";
import { answerFor, DEAD_LETTER_TOPIC, eventually, poison, Rig, TOPIC } from "../rig.ts";
import { applied, lettersOnce, MINUTE_MS, offsets } from "./letters-rig.ts";

describe("a letter that cannot be appended", () => {
  const denying = () => {
    const denied = { topic: "", fencingId: "" };
    const faults: MemoryFaults = { ...noFaults, isDenied: (_, what) => what === denied.topic || what === denied.fencingId };
    return { denied, faults };
  };

  test.each(["topic", "fencingId"] as const)(
    "for want of a right to the %s blocks its partition alone, with the cause, until it can",
    async (right) => {
      const began_ms = performance.now();
      const { denied, faults } = denying();
      await using rig = new Rig(faults);
      await rig.prepare(2);
      denied[right] = right === "topic" ? DEAD_LETTER_TOPIC : `${DEAD_LETTER_TOPIC}.0`;
      const set = rig.start("x", [0, 1]);
      await eventually(() => readiness(set).status === "ready");
      await rig.append(poison(0, "{"), orderCreated(), recordOf(orderCreated({ orderId: "ORD-9" }), { partition: 1 }));
      await eventually(() => set.get(0)?.state === "blocked" && answerFor(set, "ORD-9", 1) === "new");
      // The refusal blocks the partition at once, not only after appending has taken long.
      expect(performance.now() - began_ms).toBeLessThan(1_900);
      const why = expect.stringMatching(/^(Partition 0: )?Appending its dead letters fails: .*right/);
      expect(readiness(set)).toMatchObject({
        status: "blocked",
        reason: why,
        partitions: [{ state: "blocked", reason: why }, {}],
      });
      expect(answerFor(set, "ORD-1", 0)).toBe("PARTITION_BLOCKED");
      // Until they are searched, the unread records may belong to any order.
      expect(answerFor(set, "ORD-1", 1)).toBe("PARTITION_BLOCKED");
      expect(answerFor(set, "ORD-7", 1)).toBe("PARTITION_BLOCKED");
      const unread = new UnreadRecords(rig.log, TOPIC, systemClock);
      const blocked = [set.get(0) as PartitionView];
      expect(answerFor(set, "ORD-1", 1, await unread.without("ORD-1", blocked))).toBe("PARTITION_BLOCKED");
      expect(answerFor(set, "ORD-7", 1, await unread.without("ORD-7", blocked))).toBe("ORDER_NOT_FOUND");
      const told = () => rig.warnings.filter((warning) => warning.startsWith("0: Appending its dead letters fails"));
      expect(told()).toHaveLength(1);
      rig.passed_ms = MINUTE_MS;
      await eventually(() => told().length === 2);
      expect(set.standstill).toBeUndefined();
      denied[right] = "";
      await eventually(() => readiness(set).status === "ready" && answerFor(set, "ORD-1", 0) === "new");
      expect(offsets(await lettersOnce(rig))).toEqual([0]);
    },
  );

  test("after a start keeps the store's older state of an order from being answered (I7)", async () => {
    const { denied, faults } = denying();
    await using rig = new Rig(faults);
    await rig.prepare(1);
    await rig.append(orderCreated());
    const before = rig.start("x", [0]);
    await eventually(() => answerFor(before, "ORD-1") === "new");
    await before.close();
    // A process that was killed may have answered the update, and saved only what came before it.
    await rig.append(poison(0, "{"), statusUpdated({ status: "shipped" }));
    denied.topic = DEAD_LETTER_TOPIC;
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.state === "blocked");
    expect(answerFor(set, "ORD-1")).toBe("PARTITION_BLOCKED");
    denied.topic = "";
    rig.passed_ms = MINUTE_MS;
    await eventually(() => answerFor(set, "ORD-1") === "shipped");
  });

  test("as it takes long blocks it too", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const set = await applied(rig, "x");
    const real = rig.log.describe.bind(rig.log);
    const waited = Promise.withResolvers<void>();
    rig.log.describe = async (topic) => {
      await waited.promise;
      return real(topic);
    };
    await rig.append(poison(0, "{"));
    await eventually(() => set.get(0)?.wanted === undefined);
    expect(set.get(0)?.state).toBe("running");
    rig.passed_ms = 2_000;
    expect(set.get(0)).toMatchObject({ state: "blocked", hindered: "Appending its dead letters takes longer than 2 s." });
    waited.resolve();
    await eventually(() => set.get(0)?.state === "running" && set.get(0)?.nextOffset === 1);
  });

  test("since its topic was deleted waits until it is there again, and has it created", async () => {
    await using rig = new Rig();
    rig.createDeadLetterTopic = () => rig.log.createTopic(DEAD_LETTER_TOPIC, 1);
    await rig.prepare(1);
    await rig.append(poison(0, "a"));
    const set = await applied(rig, "x");
    rig.broker.topics.deleteTopic(DEAD_LETTER_TOPIC);
    await rig.append(poison(0, "b"));
    await eventually(() => set.get(0)?.nextOffset === 2);
    expect((await rig.deadLetters()).map(({ value }) => value)).toEqual(["b"]);
  });
});
