import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readiness } from "../../../src/http/health.ts";
import { type LeaderFault, noFaults } from "../../log/memory/memory-log.ts";
import { withoutGenerations } from "../../support/stores/without-generations.ts";
import { orderCreated, recordOf, statusUpdated } from "../../support/events/orders.ts";
import { answerFor, DEAD_LETTER_TOPIC, eventually, poison, Rig, TOPIC } from "../rig.ts";
import { orderProjection } from "../../../src/services/orders/state/order-projection.ts";

/** A rig that has applied ORD-1 and ORD-2 in partition 0, and ORD-9 in partition 1. */
async function applied(faults = noFaults) {
  const rig = new Rig(faults);
  await rig.prepare(2);
  await rig.append(
    orderCreated({ eventId: "a" }),
    orderCreated({ orderId: "ORD-2", eventId: "b" }),
    recordOf(orderCreated({ orderId: "ORD-9", eventId: "c" }), { partition: 1 }),
  );
  const set = rig.start("x", [0, 1]);
  await eventually(() => readiness(set).status === "ready" && set.get(0)?.nextOffset === 2 && set.get(1)?.nextOffset === 1);
  return { rig, set, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
}

describe("a new leader", () => {
  test("that has what was applied is followed", async () => {
    await using log = await applied();
    const { rig, set } = log;
    rig.broker.topics.elect(TOPIC, 0);
    await rig.append(statusUpdated({ orderId: "ORD-2", eventId: "d", status: "shipped" }));
    await eventually(() => answerFor(set, "ORD-2") === "shipped");
    expect(set.get(0)).toMatchObject({ state: "running", leaderEpoch: 1, doubt: undefined, hindered: undefined });
  });

  test("is followed also where the record to be compared with was deleted meanwhile", async () => {
    await using log = await applied();
    const { rig, set } = log;
    rig.broker.topics.elect(TOPIC, 0);
    await rig.log.deleteRecords(TOPIC, 0, 2);
    await rig.append(statusUpdated({ orderId: "ORD-2", eventId: "d", status: "shipped" }));
    await eventually(() => answerFor(set, "ORD-2") === "shipped");
    expect(set.get(0)).toMatchObject({ state: "running", leaderEpoch: 1, doubt: undefined, hindered: undefined });
  });

  test("that lacks the last record applied and has another there halts the partition alone, and nothing is told from it (I7)", async () => {
    await using log = await applied();
    const { rig, set } = log;
    rig.broker.topics.elect(TOPIC, 0, 1);
    await rig.append(
      orderCreated({ orderId: "ORD-3", eventId: "d" }),
      orderCreated({ orderId: "ORD-4", eventId: "e" }),
      recordOf(orderCreated({ orderId: "ORD-8", eventId: "f" }), { partition: 1 }),
    );
    await eventually(() => set.get(0)?.state === "halted" && answerFor(set, "ORD-8", 1) === "new");
    expect(set.get(0)?.halted).toContain("At offset 1 the log holds another record than the one applied");
    expect(set.get(0)?.view(orderProjection)?.order("ORD-3")).toBeUndefined();
    expect(["ORD-2", "ORD-3", "ORD-7"].map((orderId) => answerFor(set, orderId))).toEqual(Array(3).fill("PARTITION_HALTED"));
    const { status, since, partitions } = readiness(set);
    expect(status).toBe("halted");
    expect(Date.now() - Date.parse(since ?? "")).toBeWithin(0, 60_000);
    // The instruction to the operator appears only once.
    expect(partitions[0]).toMatchObject({
      since,
      halted: expect.stringContaining("If the log is right, stop the service"),
      reason: "At offset 1 the log holds another record than the one applied.",
    });
    expect(partitions[1]).not.toHaveProperty("since");
  });

  test("that has the same bytes there from another leader's time halts it too", async () => {
    await using log = await applied();
    const { rig, set } = log;
    rig.broker.topics.elect(TOPIC, 0, 1);
    await rig.append(orderCreated({ orderId: "ORD-2", eventId: "b" }));
    await eventually(() => set.get(0)?.state === "halted");
    expect(set.get(0)?.halted).toContain("another record");
  });

  test("that ends before what was applied is doubted at once, and halts the partition once that has lasted", async () => {
    await using log = await applied();
    const { rig, set } = log;
    rig.broker.topics.elect(TOPIC, 0, 1);
    await eventually(() => set.get(0)?.doubt !== undefined);
    expect(["ORD-1", "ORD-5"].map((orderId) => answerFor(set, orderId))).toEqual(["LOG_UNAVAILABLE", "LOG_UNAVAILABLE"]);
    expect(set.get(0)?.state).toBe("running");
    rig.passed_ms = 2_000;
    await eventually(() => set.get(0)?.state === "halted");
    expect(set.get(0)?.halted).toContain("goes on at offset 2, but the log holds 0 to 1");
    expect(answerFor(set, "ORD-9", 1)).toBe("new");
  });

  test("that ends right behind the last record that could be decoded halts it too", async () => {
    await using log = await applied();
    const { rig, set } = log;
    rig.broker.topics.landUndecodable(TOPIC, 0, 3, "Nobody can decode it.");
    await eventually(() => set.get(0)?.nextOffset === 5);
    rig.broker.topics.elect(TOPIC, 0, 2);
    await eventually(() => set.get(0)?.doubt !== undefined);
    for (let looks = 0; looks < 40 && set.get(0)?.state !== "halted"; looks++) {
      rig.passed_ms += 200;
      await Bun.sleep(50);
    }
    expect(set.get(0)?.halted).toContain("goes on at offset 5, but the log holds 0 to 2");
  });

  test("of which nothing was heard while letters were appended: what was folded before it is not committed", async () => {
    const leaders = { letters: "ok" as LeaderFault };
    await using log = await applied({ ...noFaults, leader: (topic) => (topic === DEAD_LETTER_TOPIC ? leaders.letters : "ok") });
    const { rig, set } = log;
    leaders.letters = "none";
    await rig.append(poison(0, "bad"), statusUpdated({ orderId: "ORD-2", eventId: "d", status: "shipped" }));
    await eventually(() => set.get(0)?.state === "blocked");
    rig.broker.topics.elect(TOPIC, 0, 1);
    await rig.append(
      orderCreated({ orderId: "ORD-3", eventId: "e" }),
      orderCreated({ orderId: "ORD-4", eventId: "f" }),
      orderCreated({ orderId: "ORD-5", eventId: "g" }),
    );
    await eventually(() => set.get(0)?.doubt !== undefined || set.get(0)?.state === "halted");
    leaders.letters = "ok";
    await eventually(() => set.get(0)?.state === "halted");
    expect(set.get(0)?.nextOffset).toBe(2);
  });
});

describe("a connection that was lost", () => {
  test("leaves what is known answered, and nothing denied, until the last record was read again", async () => {
    let isAway = false;
    await using log = await applied({ ...noFaults, away: () => isAway });
    const { rig, set } = log;
    const ends = rig.log.ends.bind(rig.log);
    const asked = Promise.withResolvers<void>();
    rig.log.ends = async (topic) => {
      await asked.promise;
      return ends(topic);
    };
    isAway = true;
    await eventually(() => rig.warnings.some((warning) => warning.includes("cannot be reached")));
    isAway = false;
    await rig.append(orderCreated({ orderId: "ORD-7", eventId: "d" }));
    await eventually(() => set.get(0)?.hindered !== undefined);
    await Bun.sleep(50);
    expect(set.get(0)).toMatchObject({ doubt: undefined, state: "running", nextOffset: 2 });
    expect(answerFor(set, "ORD-1")).toBe("new");
    expect(answerFor(set, "ORD-7")).toBe("LOG_UNAVAILABLE");
    asked.resolve();
    await eventually(() => answerFor(set, "ORD-7") === "new");
    expect(answerFor(set, "ORD-8")).toBe("ORDER_NOT_FOUND");
  });
});

describe("a topic", () => {
  test("that is deleted puts all in doubt; made anew it halts, though it has the same records", async () => {
    await using log = await applied();
    const { rig, set } = log;
    rig.broker.topics.deleteTopic(TOPIC);
    await eventually(() => set.get(0)?.doubt !== undefined && set.get(1)?.doubt !== undefined);
    expect([answerFor(set, "ORD-1"), answerFor(set, "ORD-9", 1)]).toEqual(["LOG_UNAVAILABLE", "LOG_UNAVAILABLE"]);
    await rig.log.createTopic(TOPIC, 2);
    await rig.append(
      orderCreated({ eventId: "a" }),
      orderCreated({ orderId: "ORD-2", eventId: "b" }),
      recordOf(orderCreated({ orderId: "ORD-9", eventId: "c" }), { partition: 1 }),
    );
    await eventually(() => [...set.held()].every(({ state }) => state === "halted"));
    expect(set.get(0)?.halted).toContain("The topic was deleted and made anew");
    expect(rig.warnings.filter((warning) => warning.includes("LOG_DISAGREES"))).toHaveLength(2);
  });

  test("made anew while nobody read it halts at the next start, before anything is applied", async () => {
    await using log = await applied();
    const { rig, set } = log;
    await set.close();
    rig.broker.topics.deleteTopic(TOPIC);
    await rig.log.createTopic(TOPIC, 2);
    await rig.append(
      orderCreated({ eventId: "a" }),
      orderCreated({ orderId: "ORD-2", eventId: "b" }),
      orderCreated({ orderId: "ORD-3", eventId: "d" }),
    );
    const again = rig.start("x", [0]);
    await eventually(() => again.get(0)?.state === "halted");
    expect(again.get(0)).toMatchObject({ nextOffset: 2, halted: expect.stringContaining("made anew, by somebody") });
  });
});

describe("a store from before leader epochs and topic ids were kept", () => {
  const asBefore = (path: string) => {
    const db = new Database(path);
    for (const column of ["last_epoch", "topic_id", "first_offset"]) db.run(`ALTER TABLE position DROP COLUMN ${column}`);
    withoutGenerations(db);
    db.close();
  };

  test("goes on where the log has the same bytes, and keeps them from then on", async () => {
    await using log = await applied();
    const { rig, set } = log;
    await set.close();
    asBefore(rig.storePath("x", 0));
    rig.broker.topics.elect(TOPIC, 0);
    await rig.append(statusUpdated({ orderId: "ORD-2", eventId: "d", status: "shipped" }));
    const again = rig.start("x", [0]);
    await eventually(() => answerFor(again, "ORD-2") === "shipped");
    await again.close();
    const db = new Database(rig.storePath("x", 0), { readonly: true });
    expect(db.query("SELECT next_offset, last_epoch, topic_id FROM position").get()).toEqual({
      next_offset: 3,
      last_epoch: 1,
      topic_id: rig.broker.topics.find(TOPIC)!.topicId,
    });
    db.close();
  });

  test("halts where the log has others", async () => {
    await using log = await applied();
    const { rig, set } = log;
    await set.close();
    asBefore(rig.storePath("x", 0));
    rig.broker.topics.elect(TOPIC, 0, 1);
    await rig.append(orderCreated({ orderId: "ORD-3", eventId: "d" }));
    const again = rig.start("x", [0]);
    await eventually(() => again.get(0)?.state === "halted");
    expect(again.get(0)?.halted).toContain("another record");
  });
});
