import { expect, test } from "bun:test";
import type { Log, Membership } from "../../../src/log/port.ts";
import { eventually, TEST_TIMEOUT_MS } from "./harness.ts";
import type { ContractContext } from "./log-contract.ts";

interface Member {
  readonly membership: Membership;
  /** The partitions it was last assigned; none once they are lost. */
  readonly held: () => readonly number[];
  /** Every call of its listener. */
  readonly calls: string[];
}

function join(log: Log, group: string, topic: string, local: readonly number[] = []): Member {
  let held: readonly number[] = [];
  const calls: string[] = [];
  const membership = log.joinGroup({
    group,
    topic,
    localPartitions: () => local,
    listener: {
      onAssigned: (partitions) => {
        held = partitions.toSorted((a, b) => a - b);
        calls.push(`assigned ${held.join(",")}`);
      },
      onLost: (reason) => {
        held = [];
        calls.push(`lost ${reason}`);
      },
      onWaiting: (holder) => calls.push(`waiting ${holder}`),
    },
  });
  return { membership, held: () => held, calls };
}

/** The partitions the member may act for: none unless it is the owner now. */
const owned = ({ membership, held }: Member): readonly number[] => (membership.isOwner() ? held() : []);

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
          [0, 3],
          [3, 1],
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
      `a second member, through ${where}, waits or shares: each partition has one owner; when one leaves the other has all`,
      async () => {
        const log = await open();
        const topic = await topicOf(log, 5);
        const group = harness.uniqueName("group");
        const first = join(log, group, topic);
        await eventually("all partitions for the first", () => allOwnedOnce([first], 5));
        const second = join(where === "another handle" ? await open() : log, group, topic);
        const settled = () => second.membership.state === "waiting" || second.held().length > 0;
        await eventually("the second to wait or share", () => settled() && allOwnedOnce([first, second], 5));
        await Bun.sleep(600);
        expect(allOwnedOnce([first, second], 5)).toBe(true);
        if (harness.capabilities.sharesGroups) {
          expect([first.held().length, second.held().length].toSorted((a, b) => a - b)).toEqual([2, 3]);
        } else {
          expect(second.calls).toEqual([`waiting ${HOLDER}`]);
          expect(second.membership.state).toBe("waiting");
          expect(second.membership.isOwner()).toBe(false);
        }
        await first.membership.leave();
        await eventually("all partitions for the second", () => allOwnedOnce([second], 5));
        expect(first.membership.isOwner()).toBe(false);
        expect(second.membership.state).toBe("stable");
      },
      TEST_TIMEOUT_MS,
    );
  }

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

/** How the embedded log's harness names the holder of its handles. */
export const HOLDER = "pid of the test";
