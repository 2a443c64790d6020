import { expect, test } from "bun:test";
import type { Assignment, GroupOptions, Membership } from "../../../src/log/membership.ts";
import type { Log } from "../../../src/log/port.ts";
import { eventually, TEST_TIMEOUT_MS } from "./harness.ts";
import type { ContractContext } from "./log-contract.ts";

interface Member {
  readonly membership: Membership;
  /** The partitions it was last assigned; none once they are lost. */
  readonly held: () => readonly number[];
  /** What it was last told of the whole group. */
  readonly told: () => Assignment | undefined;
  /** Every call of its listener. */
  readonly calls: string[];
}

function join(log: Log, group: string, topic: string, more: Partial<GroupOptions> = {}): Member {
  let held: readonly number[] = [];
  let told: Assignment | undefined;
  const calls: string[] = [];
  const membership = log.joinGroup({
    group,
    topic,
    localPositions: () => new Map(),
    ...more,
    listener: {
      onAssigned: (assignment) => {
        told = assignment;
        held = assignment.partitions;
        calls.push(`assigned ${held.join(",")}`);
      },
      onLost: (reason) => {
        held = [];
        calls.push(`lost ${reason}`);
      },
      onWaiting: (holder) => calls.push(`waiting ${holder}`),
    },
  });
  return { membership, held: () => held, told: () => told, calls };
}

/** The partitions the member may act for: none unless it is the owner now. */
const owned = ({ membership, held }: Member): readonly number[] => (membership.isOwner() ? held() : []);

/** The members in the order of their ids. */
const sorted = (assignment: Assignment | undefined) => assignment?.members.toSorted((a, b) => (a.id < b.id ? -1 : 1));

const range = (count: number): number[] => Array.from({ length: count }, (_, partition) => partition);
const allOwnedOnce = (members: readonly Member[], count: number): boolean =>
  Bun.deepEquals(
    members.flatMap(owned).toSorted((a, b) => a - b),
    range(count),
  );

export function groupContract({ harness, open }: ContractContext): void {
  const topicOf = async (log: Log, partitions: number): Promise<string> => {
    const topic = harness.uniqueName("grouped");
    await log.createTopic(topic, partitions);
    return topic;
  };

  test(
    "one member gets all partitions, may act, commits, and leaves",
    async () => {
      const log = await open();
      const topic = await topicOf(log, 4);
      const member = join(log, harness.uniqueName("group"), topic);
      expect(member.membership.isOwner()).toBe(false);
      await eventually("all partitions", () => allOwnedOnce([member], 4));
      expect(member.membership.state).toBe("stable");
      await member.membership.commit(
        new Map([
          [0, { nextOffset: 3 }],
          [3, { nextOffset: 1, metadata: '{"é":1}' }],
        ]),
      );
      expect(await member.membership.committed([0, 1, 3])).toEqual(
        new Map([
          [0, { nextOffset: 3, metadata: undefined }],
          [3, { nextOffset: 1, metadata: '{"é":1}' }],
        ]),
      );
      await member.membership.leave();
      await member.membership.leave();
      expect(member.membership.state).toBe("left");
      expect(member.membership.isOwner()).toBe(false);
      expect(member.calls.filter((call) => !call.startsWith("assigned"))).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  for (const where of ["another handle", "the same handle"] as const) {
    test(
      `a second member, through ${where}, shares: each partition has one owner; when one leaves the other has all`,
      async () => {
        const log = await open();
        const topic = await topicOf(log, 5);
        const group = harness.uniqueName("group");
        const first = join(log, group, topic);
        await eventually("all partitions for the first", () => allOwnedOnce([first], 5));
        const second = join(where === "another handle" ? await open() : log, group, topic);
        await eventually("both to share", () => second.held().length > 0 && allOwnedOnce([first, second], 5));
        await Bun.sleep(600);
        expect(allOwnedOnce([first, second], 5)).toBe(true);
        expect([first.held().length, second.held().length].toSorted((a, b) => a - b)).toEqual([2, 3]);
        await first.membership.leave();
        await eventually("all partitions for the second", () => allOwnedOnce([second], 5));
        expect(first.membership.isOwner()).toBe(false);
        expect(second.membership.state).toBe("stable");
      },
      TEST_TIMEOUT_MS,
    );
  }

  test(
    "each member is told of all: who they are, where they can be asked, what they own",
    async () => {
      const log = await open();
      const topic = await topicOf(log, 5);
      const group = harness.uniqueName("group");
      const first = join(log, group, topic, { endpoint: "http://first:1" });
      const only = () => ({ id: first.told()?.memberId, endpoint: "http://first:1", partitions: range(5), standbys: [] });
      await eventually("the first to be told", () => Bun.deepEquals(first.told()?.members, [only()]));
      const second = join(log, group, topic);
      await eventually("both to be told the same of both", () => {
        const [told, other] = [first.told(), second.told()];
        if (told?.members.length !== 2 || !Bun.deepEquals(sorted(told), sorted(other))) return false;
        const entry = (id: string | undefined) => told.members.find((member) => member.id === id);
        return (
          Bun.deepEquals(entry(told.memberId), { ...only(), partitions: told.partitions }) &&
          Bun.deepEquals(entry(other?.memberId), {
            ...only(),
            id: other?.memberId,
            endpoint: undefined,
            partitions: second.held(),
          })
        );
      });
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "where a member asks for a standby, each partition is followed by a member that does not own it",
    async () => {
      const log = await open();
      const topic = await topicOf(log, 5);
      const group = harness.uniqueName("group");
      const first = join(log, group, topic);
      const second = join(log, group, topic, { standbysPerPartition: 1 });
      await eventually("each to follow what the other owns", () => {
        const [one, other] = [first.told(), second.told()];
        if (!allOwnedOnce([first, second], 5) || one?.members.length !== 2 || other?.members.length !== 2) return false;
        return Bun.deepEquals(one.standbys, other.partitions) && Bun.deepEquals(other.standbys, one.partitions);
      });
      for (const { memberId, standbys, members } of [first.told()!, second.told()!])
        expect(members.find(({ id }) => id === memberId)?.standbys).toEqual(standbys);
      await first.membership.leave();
      await eventually("nobody to follow what the only member owns", () => {
        const { partitions, standbys } = second.told()!;
        return partitions.length === 5 && standbys.length === 0;
      });
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "closing a handle leaves its groups",
    async () => {
      const [one, two] = [await open(), await open()];
      const topic = await topicOf(one, 2);
      const group = harness.uniqueName("group");
      const first = join(one, group, topic);
      await eventually("all partitions for the first", () => allOwnedOnce([first], 2));
      const second = join(two, group, topic);
      await one.close();
      await eventually("all partitions for the second", () => allOwnedOnce([second], 2));
      expect(first.membership.isOwner()).toBe(false);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "groups do not touch each other, whatever their names",
    async () => {
      const log = await open();
      const topic = await topicOf(log, 2);
      const name = harness.uniqueName("group");
      const members = [name, name.toUpperCase(), `${name}.x`, `${name}_x`].map((group) => join(log, group, topic));
      for (const member of members) await eventually("all partitions for each", () => allOwnedOnce([member], 2));
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "partitions added later are picked up",
    async () => {
      const log = await open();
      const topic = await topicOf(log, 2);
      const member = join(log, harness.uniqueName("group"), topic);
      await eventually("2 partitions", () => allOwnedOnce([member], 2));
      await (await open()).addPartitions(topic, 5);
      await eventually("5 partitions", () => allOwnedOnce([member], 5));
      await Bun.sleep(300);
      expect(allOwnedOnce([member], 5)).toBe(true);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a member that joins before its topic exists gets it once it does",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("later");
      const member = join(log, harness.uniqueName("group"), topic);
      await Bun.sleep(500);
      expect(member.held()).toEqual([]);
      await log.createTopic(topic, 3);
      await eventually("3 partitions", () => allOwnedOnce([member], 3));
    },
    TEST_TIMEOUT_MS,
  );
}
