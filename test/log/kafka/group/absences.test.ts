import { beforeEach, describe, expect, test } from "bun:test";
import { Absences } from "../../../../src/log/kafka/group/absences.ts";
import { dealOut } from "../../../../src/log/kafka/group/dealing.ts";
import { decodeAssignment, encodeMetadata } from "../../../../src/log/kafka/group/group-protocol.ts";
import type { Assignment } from "../../../../src/log/membership.ts";
import { systemClock } from "../../../../src/system/clock.ts";

const SESSION_MS = 6_000;
const TOPIC = "orders";
let now_ms = 0;
const clock = { ...systemClock, now_ms: () => now_ms };
beforeEach(() => void (now_ms = 1_000));

interface Told {
  readonly id: string;
  readonly generation: number | undefined;
  readonly owned?: readonly number[];
  readonly following?: readonly number[];
}

/** What the coordinator tells the leader: of each member what that told when it joined last. */
const joined = (...members: readonly Told[]) => ({
  generationId: 9,
  leaderId: "leader-1",
  memberId: "leader-1",
  members: members.map(({ id, owned = [], following = [], generation }) => ({
    memberId: `${id}-1`,
    groupInstanceId: id,
    memberMetadata: encodeMetadata({
      topics: [TOPIC],
      isWaiting: false,
      owned,
      following,
      positions: new Map([...owned, ...following].map((partition) => [partition, 100])),
      ready: [...owned, ...following],
      standbysPerPartition: 1,
      endpoint: `http://${id}`,
      asked: 0,
      generation,
    }),
  })),
});
const lastOf = (...ids: readonly string[]): Assignment => ({
  partitions: [],
  standbys: [],
  memberId: "leader",
  members: ids.map((id) => ({ id, endpoint: undefined, partitions: [], standbys: [] })),
});

describe("who is away", () => {
  const note = (absences: Absences, generation: number | undefined, before = 8) =>
    Object.fromEntries(
      absences.note(joined({ id: "leader", generation: before }, { id: "m", generation }), before, lastOf("leader", "m")),
    );

  test("is silent who tells of an earlier generation, and gone who has done so for a session", () => {
    const absences = new Absences(SESSION_MS, clock);
    expect(note(absences, 8)).toEqual({});
    expect(note(absences, 7)).toEqual({ m: "silent" });
    now_ms += SESSION_MS - 1;
    expect(note(absences, 7)).toEqual({ m: "silent" });
    now_ms += 1;
    expect(note(absences, 7)).toEqual({ m: "gone" });
    expect(note(absences, 8)).toEqual({});
    expect(note(absences, 7)).toEqual({ m: "silent" });
  });

  test("is nobody of whom there is nothing to know", () => {
    const absences = new Absences(SESSION_MS, clock);
    expect(note(absences, undefined)).toEqual({});
    expect(note(absences, -1, -1)).toEqual({});
    const newcomer = joined({ id: "leader", generation: 8 }, { id: "n", generation: -1 });
    expect(absences.note(newcomer, 8, lastOf("leader", "m")).size).toBe(0);
    expect(absences.note(newcomer, 8, undefined).size).toBe(0);
  });

  test("is also a member that was restarted and has told nothing since", () => {
    expect(note(new Absences(SESSION_MS, clock), -1)).toEqual({ m: "silent" });
  });
});

test("what a silent member has goes to its standby; what nobody else could answer for stays with it, until it is gone", async () => {
  const members = [
    { id: "leader", generation: 8, owned: [0], following: [1] },
    { id: "m", generation: 7, owned: [1, 2], following: [0] },
    { id: "n", generation: -1 },
  ];
  const dealt = async (absence: "silent" | "gone") => {
    const shares = await dealOut(joined(...members), new Map([["m", absence]]), async () => 3);
    return Object.fromEntries(
      members.map(({ id }, n) => [id, decodeAssignment(shares[n]!.memberAssignment, TOPIC, id).assignment.partitions]),
    );
  };
  expect(await dealt("silent")).toEqual({ leader: [0, 1], m: [2], n: [] });
  expect(await dealt("gone")).toMatchObject({ m: [], leader: expect.arrayContaining([0, 1]) });
});
