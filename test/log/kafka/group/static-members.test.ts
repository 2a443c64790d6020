import { afterEach, expect, test } from "bun:test";
import { KafkaLog } from "../../../../src/log/kafka/kafka-log.ts";
import { HEARTBEATS_PER_SESSION } from "../../../../src/log/kafka/group/membership.ts";
import type { Assignment, GroupOptions, Membership } from "../../../../src/log/membership.ts";
import { type Clock, systemClock } from "../../../../src/system/clock.ts";
import { brokerSuite } from "../../../support/brokers/broker.ts";
import { eventually } from "../../contract/harness.ts";

const SESSION_MS = 6_000;
const TIMEOUT_MS = 60_000;

interface Member {
  readonly membership: Membership;
  readonly told: () => Assignment | undefined;
  readonly assignments: () => number;
  readonly losses: string[];
}

await brokerSuite("members with an instance id", ({ brokers }) => {
  const open: KafkaLog[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((log) => log.close()));
  });

  function openLog(clock: Clock = systemClock): KafkaLog {
    const log = new KafkaLog({
      brokers: brokers.split(","),
      clientId: "static-members",
      session_timeout_ms: SESSION_MS,
      backoff_ms_min: 50,
      backoff_ms_max: 500,
      clock,
      random: Math.random,
    });
    open.push(log);
    return log;
  }

  /** A process with a log of its own; its state's id is `id`. */
  function start(group: string, topic: string, id: string, more: Partial<GroupOptions> = {}, clock?: Clock): Member {
    const log = openLog(clock);
    let current = id;
    let told: Assignment | undefined;
    let assignments = 0;
    const losses: string[] = [];
    const membership = log.joinGroup({
      group,
      topic,
      localPositions: () => new Map(),
      instance: { id: () => current, renew: () => void (current = `${id}-renewed`) },
      leaving: "auto",
      listener: {
        onAssigned: (assignment) => {
          told = assignment;
          assignments++;
        },
        onLost: (reason) => losses.push(reason),
        onWaiting: () => undefined,
      },
      ...more,
    });
    return { membership, told: () => told, assignments: () => assignments, losses };
  }

  async function newGroup(partitions = 4) {
    const [topic, group] = [`static-${crypto.randomUUID()}`, `group-${crypto.randomUUID()}`];
    const log = openLog();
    await log.createTopic(topic, partitions);
    return { topic, group, log };
  }

  const owned = ({ told, membership }: Member) => (membership.isOwner() ? (told()?.partitions ?? []) : []);
  const shared = (members: readonly Member[], count: number) => () =>
    members.every(({ told }) => told()?.members.length === members.length) &&
    new Set(members.flatMap(owned)).size === count &&
    members.flatMap(owned).length === count;

  test(
    "one that restarts within its session has what it had at once, under the same id, and the others are not told anything",
    async () => {
      const { group, topic } = await newGroup();
      const [a, b] = [start(group, topic, "a"), start(group, topic, "b")];
      await eventually("both to share", shared([a, b], 4));
      const [had, toldOther] = [a.told(), b.assignments()];
      expect(had?.memberId).toBe("a");
      await a.membership.leave();
      await Bun.sleep(1_000);
      const again = start(group, topic, "a");
      const began_ms = performance.now();
      await eventually("the restarted one to own", () => owned(again).length > 0);
      expect(performance.now() - began_ms).toBeLessThan(2_000);
      expect(again.told()).toEqual(had);
      await Bun.sleep(SESSION_MS);
      expect([again.assignments(), b.assignments(), ...again.losses, ...b.losses]).toEqual([1, toldOther]);
      expect(shared([again, b], 4)()).toBe(true);
    },
    TIMEOUT_MS,
  );

  test(
    "one that does not come back loses its partitions when its session ends",
    async () => {
      const { group, topic } = await newGroup();
      const [a, b] = [start(group, topic, "a"), start(group, topic, "b")];
      await eventually("both to share", shared([a, b], 4));
      await a.membership.leave();
      await Bun.sleep(SESSION_MS / 2);
      expect(owned(b).length).toBe(2);
      await eventually("the other one to have all", () => owned(b).length === 4);
    },
    TIMEOUT_MS,
  );

  test(
    "one leaves at once where each of its partitions has a standby",
    async () => {
      const { group, topic } = await newGroup();
      const [a, b] = [start(group, topic, "a", { standbysPerPartition: 1 }), start(group, topic, "b")];
      await eventually("both to share and follow", () => shared([a, b], 4)() && b.told()?.standbys.length === 2);
      await a.membership.leave();
      const left_ms = performance.now();
      await eventually("the other one to have all", () => owned(b).length === 4);
      expect(performance.now() - left_ms).toBeLessThan(SESSION_MS / 2);
    },
    TIMEOUT_MS,
  );

  test(
    "the others learn what a restart changed: where it can be asked, and how many standbys it asks for",
    async () => {
      const { group, topic } = await newGroup();
      const [a, b] = [start(group, topic, "a", { endpoint: "http://a:1" }), start(group, topic, "b")];
      await eventually("both to share", shared([a, b], 4));
      const had = owned(a);
      await a.membership.leave();
      const again = start(group, topic, "a", { endpoint: "http://a:2", standbysPerPartition: 1 });
      await eventually("the other one to be told", () => {
        const entry = b.told()?.members.find(({ id }) => id === "a");
        return entry?.endpoint === "http://a:2" && Bun.deepEquals(b.told()?.standbys, had);
      });
      expect(owned(again)).toEqual(had);
      const changed = again.assignments();
      await Bun.sleep(SESSION_MS / 2);
      expect(again.assignments()).toBe(changed);
      await again.membership.leave();
    },
    TIMEOUT_MS,
  );

  test(
    "the others learn it also of one that has nothing",
    async () => {
      const { group, topic } = await newGroup(1);
      const a = start(group, topic, "a");
      await eventually("the first to have all", shared([a], 1));
      const b = start(group, topic, "b", { endpoint: "http://b:1", leaving: "never" });
      await eventually("both to be in the group", shared([a, b], 1));
      await b.membership.leave();
      start(group, topic, "b", { endpoint: "http://b:2" });
      const told = () => a.told()?.members.find(({ id }) => id === "b")?.endpoint;
      await eventually("the other one to be told", () => told() === "http://b:2");
    },
    TIMEOUT_MS,
  );

  test.each(["a", "b"] as const)(
    "added partitions are dealt out after %s has restarted, whether or not it was the leader",
    async (id) => {
      const { group, topic, log } = await newGroup();
      const members = { a: start(group, topic, "a"), b: start(group, topic, "b") };
      await eventually("both to share", shared(Object.values(members), 4));
      await members[id].membership.leave();
      members[id] = start(group, topic, id);
      await eventually("both to share again", shared(Object.values(members), 4));
      await log.addPartitions(topic, 7);
      await eventually("both to share what was added", shared(Object.values(members), 7));
    },
    TIMEOUT_MS,
  );

  test(
    "one whose process stood still for longer than its session says so, and joins again",
    async () => {
      const { group, topic } = await newGroup();
      let stop_ms = 0;
      const clock: Clock = {
        ...systemClock,
        sleep: async (ms, signal) => {
          await systemClock.sleep(ms, signal);
          // As SIGSTOP does: nothing at all is done meanwhile.
          if (ms === SESSION_MS / HEARTBEATS_PER_SESSION) Bun.sleepSync(stop_ms);
        },
      };
      const a = start(group, topic, "a", {}, clock);
      await eventually("it to have all", shared([a], 4));
      stop_ms = SESSION_MS + 2_000;
      await eventually("it to fall out", () => a.losses.length > 0);
      stop_ms = 0;
      expect(a.losses).toEqual([expect.stringMatching(/^This process stood still for [89] s, .*nothing is to be done\.$/)]);
      await eventually("it to have all again", shared([a], 4));
      expect(a.losses).toHaveLength(1);
    },
    TIMEOUT_MS,
  );

  test(
    "two processes with one id: the first is told what happened and goes on under another one, and neither fights on",
    async () => {
      const { group, topic } = await newGroup();
      const a = start(group, topic, "a");
      await eventually("it to have all", shared([a], 4));
      const copy = start(group, topic, "a");
      await eventually("both to share", shared([a, copy], 4));
      expect(a.losses).toEqual([expect.stringMatching(/FENCED_INSTANCE_ID.*is a copy.*leaves out the file `instance`/)]);
      expect([a.told()?.memberId, copy.told()?.memberId]).toEqual(["a-renewed", "a"]);
      const before = [a.assignments(), copy.assignments()];
      await Bun.sleep(SESSION_MS / 2);
      expect([a.assignments(), copy.assignments(), ...copy.losses]).toEqual(before);
      expect(a.losses.length).toBe(1);
    },
    TIMEOUT_MS,
  );
});
