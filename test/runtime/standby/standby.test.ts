import { describe, expect, test } from "bun:test";
import { readiness } from "../../../src/http/health.ts";
import type { PartitionSet } from "../../../src/runtime/partition-set.ts";
import { committedOffset } from "../../../src/runtime/standby/owner-commit.ts";
import { DISAGREEMENT_MS_MIN } from "../../../src/runtime/standby/agreement.ts";
import { COMMITTED_WAIT_MS } from "../../../src/runtime/standby/owner-watch.ts";
import { orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { answerFor, DEAD_LETTER_TOPIC, eventually, poison, Rig, TOPIC } from "../rig.ts";

/** A set that follows partition 0 of what an owner reads, or would read. */
async function following(rig: Rig): Promise<PartitionSet> {
  await rig.prepare(1);
  const set = rig.start("standby", []);
  set.partitionCount = 1;
  set.assign([], [0]);
  return set;
}

const standby = (set: PartitionSet) => [...set.standbys()][0];
const heardTwice = () => Bun.sleep(2 * COMMITTED_WAIT_MS + 100);
const letters = async (rig: Rig): Promise<string[]> => (await rig.deadLetters()).map(({ value }) => value);

/** The owner commits what it has applied, as a service does each second. */
const commit = (rig: Rig, owner: PartitionSet): void => {
  for (const [partition, told] of owner.actors.commits()) rig.committed.set(partition, committedOffset(told));
};

describe("a standby", () => {
  test("has the rows that the owner has, and clients get no answer from them", async () => {
    await using rig = new Rig();
    const set = await following(rig);
    const owner = rig.start("owner", [0]);
    await rig.append(orderCreated(), statusUpdated({ status: "shipped" }));
    await eventually(() => standby(set)?.nextOffset === 2 && owner.get(0)?.nextOffset === 2);
    expect(standby(set)?.digest).toBe(owner.get(0)?.digest);
    expect([[...set.held()], set.get(0), answerFor(set, "ORD-1")]).toEqual([[], undefined, "PARTITION_ELSEWHERE"]);
    expect(rig.readable.filter((offset) => offset === 1).length).toBeLessThan(2);
    expect([...set.actors.positions()]).toEqual([[0, 2]]);
    expect([...set.actors.commits()]).toEqual([]);
  });

  test("that is behind does not make its process unready", async () => {
    await using rig = new Rig();
    const set = await following(rig);
    await rig.append(poison(0, "bad"));
    await eventually(() => standby(set)?.hindered !== undefined);
    expect(readiness(set)).toMatchObject({ status: "ready", partitions: [] });
  });

  test("appends no dead letter, and goes on once the owner has committed beyond it (I6)", async () => {
    await using rig = new Rig();
    const set = await following(rig);
    await rig.append(orderCreated(), poison(0, "bad"), statusUpdated({ status: "shipped" }));
    await eventually(() => standby(set)?.hindered?.startsWith("The record at offset 1 is a dead letter") === true);
    rig.committed.set(0, { nextOffset: 1 });
    await heardTwice();
    expect([standby(set)?.nextOffset, await letters(rig)]).toEqual([0, []]);
    rig.committed.set(0, { nextOffset: 2 });
    await eventually(() => standby(set)?.nextOffset === 3);
    expect([await letters(rig), standby(set)?.hindered]).toEqual([[], undefined]);
  });

  test("does not take another topic's offset, or one beyond the log's end, for the owner's word", async () => {
    await using rig = new Rig();
    const set = await following(rig);
    await rig.append(poison(0, "bad"));
    rig.committed.set(0, committedOffset({ nextOffset: 1, topicId: "another" }));
    await eventually(() => standby(set)?.hindered !== undefined);
    await heardTwice();
    expect(standby(set)?.nextOffset).toBe(0);
    rig.committed.set(0, { nextOffset: 900 });
    await heardTwice();
    expect(standby(set)?.nextOffset).toBe(0);
    rig.committed.set(0, committedOffset({ nextOffset: 1, topicId: rig.broker.topics.find(TOPIC)?.topicId }));
    await eventually(() => standby(set)?.nextOffset === 1);
  });

  test("keeps its store between restarts", async () => {
    await using rig = new Rig();
    const set = await following(rig);
    await rig.append(orderCreated());
    await eventually(() => standby(set)?.nextOffset === 1);
    await set.close();
    expect(rig.savedOffset("standby", 0)).toBe(1);
  });
});

describe("a standby that becomes the owner", () => {
  test("keeps its rows, reads to the log's end, and appends the letters that are missing", async () => {
    await using rig = new Rig();
    const set = await following(rig);
    await rig.append(orderCreated());
    await eventually(() => standby(set)?.nextOffset === 1);
    const before = standby(set);
    await rig.append(poison(0, "bad"), statusUpdated({ status: "shipped" }));
    await eventually(() => standby(set)?.hindered !== undefined);
    set.assign([0]);
    expect(set.get(0)).toBe(before);
    expect(answerFor(set, "ORD-1")).toBe("CATCHING_UP");
    await eventually(() => answerFor(set, "ORD-1") === "shipped");
    expect(await letters(rig)).toEqual(["bad"]);
    expect(readiness(set).status).toBe("ready");
  });

  test("answers nothing before the last record is compared: what the log has lost halts it (I7)", async () => {
    await using rig = new Rig();
    const set = await following(rig);
    await rig.append(orderCreated(), statusUpdated({ status: "shipped" }));
    await eventually(() => standby(set)?.nextOffset === 2);
    // Nothing tells the standby of it: no connection is lost, and the leader is the same.
    rig.broker.topics.partition(TOPIC, 0).entries.pop();
    await rig.append(statusUpdated({ eventId: "other", status: "cancelled" }));
    set.assign([0]);
    expect(["CATCHING_UP", "PARTITION_HALTED"]).toContain(answerFor(set, "ORD-1"));
    await eventually(() => set.get(0)?.state === "halted");
    // It may have looked while the log was short of the record.
    expect(set.get(0)?.halted).toMatch(/another record than the one applied|the log lost its end/);
  });

  test("gives answers again only at the end that the log has by then, whatever it had reached before", async () => {
    await using rig = new Rig();
    const set = await following(rig);
    await rig.append(orderCreated());
    await eventually(() => standby(set)?.state === "running");
    set.assign([0]);
    expect([set.get(0)?.state, set.get(0)?.hasBeenComplete, set.get(0)?.isComplete]).toEqual(["catching-up", false, false]);
    await eventually(() => set.get(0)?.state === "running" && set.get(0)?.doubt === undefined);
  });
});

describe("an owner that becomes a standby", () => {
  test("goes on following with its rows, and no longer answers or commits", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const set = rig.start("x", [0]);
    await rig.append(orderCreated());
    await eventually(() => answerFor(set, "ORD-1") === "new");
    const waiting = set.get(0)?.reached(5, 5_000);
    set.assign([], [0]);
    expect(await waiting).toBe(false);
    expect([[...set.held()], [...set.actors.commits()], standby(set)?.nextOffset]).toEqual([[], [], 1]);
    await rig.append(statusUpdated({ status: "shipped" }));
    await eventually(() => standby(set)?.nextOffset === 2);
  });

  test("gives up the letters that it was about to append, and waits for the new owner's", async () => {
    let isDenied = true;
    await using rig = new Rig({
      away: () => false,
      stalled: () => false,
      onAppend: () => "ok",
      onFetch: () => "ok",
      leader: () => "ok",
      isDenied: (_, name) => isDenied && name === DEAD_LETTER_TOPIC,
    });
    await rig.prepare(1);
    const set = rig.start("x", [0]);
    await rig.append(poison(0, "bad"));
    await eventually(() => set.get(0)?.state === "blocked");
    set.assign([], [0]);
    await eventually(() => standby(set)?.hindered?.includes("is the owner's to append") === true);
    isDenied = false;
    await heardTwice();
    expect(await letters(rig)).toEqual([]);
    const owner = rig.start("owner", [0]);
    await eventually(() => owner.get(0)?.nextOffset === 1);
    commit(rig, owner);
    await eventually(() => standby(set)?.nextOffset === 1);
    expect(await letters(rig)).toEqual(["bad"]);
  });
});

/** The owner tells another digest at the standby's offset, for so long that nobody need wait for something else. */
async function disagree(rig: Rig, set: PartitionSet): Promise<void> {
  await eventually(() => standby(set)?.nextOffset === 1 && standby(set)?.state === "running");
  rig.committed.set(0, committedOffset({ ...standby(set)!.commit, digest: "other" }));
  await heardTwice();
  await eventually(() => standby(set)?.state === "running");
  rig.passed_ms += DISAGREEMENT_MS_MIN;
}

describe("a standby whose digest is not the owner's at the same offset", () => {
  test("is rebuilt once, and the owner goes on", async () => {
    await using rig = new Rig();
    const set = await following(rig);
    await rig.append(orderCreated());
    await eventually(() => standby(set)?.nextOffset === 1);
    const right = standby(set)!.commit;
    await disagree(rig, set);
    await eventually(() => rig.warnings.some((warning) => warning.includes("rebuilt from the log once")));
    rig.committed.set(0, committedOffset(right));
    await eventually(() => standby(set)?.nextOffset === 1 && standby(set)?.state === "running");
    await heardTwice();
    expect(standby(set)?.halted).toBeUndefined();
  });

  test("halts if it disagrees again, and is then no state to take over from", async () => {
    await using rig = new Rig();
    const set = await following(rig);
    await rig.append(orderCreated());
    await eventually(() => standby(set)?.nextOffset === 1);
    await disagree(rig, set);
    await eventually(() => rig.warnings.some((warning) => warning.includes("rebuilt from the log once")));
    await disagree(rig, set);
    await eventually(() => standby(set)?.state === "halted");
    expect(standby(set)?.halted).toContain("bun run audit");
    expect([...set.actors.positions()]).toEqual([]);
  });

  test("is left as it is if the owner folds another version", async () => {
    await using rig = new Rig();
    const set = await following(rig);
    await rig.append(orderCreated());
    await eventually(() => standby(set)?.nextOffset === 1);
    rig.committed.set(0, committedOffset({ ...standby(set)!.commit, digest: "other", kind: "orders@2" }));
    await heardTwice();
    expect([standby(set)?.state, rig.warnings]).toEqual(["running", []]);
  });
});
