import { expect, test } from "bun:test";
import { isToWait, underOldLeader } from "../../../../src/log/kafka/group/old-leaders.ts";

test("a member waits until it is ready for all partitions that the topic has", () => {
  expect([isToWait(2, []), isToWait(2, [1]), isToWait(2, [1, 0]), isToWait(0, [])]).toEqual([true, true, false, false]);
});

test("a member that an old leader gives nothing, or something, follows all the rest; what it waits for are its warm-ups", () => {
  const assignment = { partitions: [1], standbys: [], memberId: "a", members: [] };
  expect(underOldLeader(assignment, 3, false)).toEqual({ ...assignment, standbys: [0, 2], warmUps: [] });
  const nothing = { ...assignment, partitions: [] };
  expect(underOldLeader(nothing, 3, true)).toEqual({ ...nothing, standbys: [0, 1, 2], warmUps: [0, 1, 2] });
});
