import { expect, test } from "bun:test";
import { handsOver, leavesAtStop } from "../../../src/log/group/leaving.ts";
import type { Assignment, GroupMember } from "../../../src/log/membership.ts";

const member = (id: string, partitions: number[], standbys: number[] = []): GroupMember => ({
  id,
  endpoint: undefined,
  partitions,
  standbys,
});
const assignment = (...members: [GroupMember, ...GroupMember[]]): Assignment => ({
  partitions: members[0].partitions,
  standbys: members[0].standbys,
  memberId: members[0].id,
  members,
});

test("always and never mean what they say", () => {
  const followed = assignment(member("a", [0]), member("b", [], [0]));
  expect([leavesAtStop("always", undefined), leavesAtStop("never", followed)]).toEqual([true, false]);
});

test("auto leaves where each of the member's partitions has a standby elsewhere, or it has none", () => {
  expect(leavesAtStop("auto", assignment(member("a", [0, 2]), member("b", [1], [0]), member("c", [], [2])))).toBe(true);
  expect(leavesAtStop("auto", assignment(member("a", []), member("b", [0])))).toBe(true);
});

test("auto stays where somebody would have to rebuild a partition, or where it is not known what the member has", () => {
  expect(leavesAtStop("auto", assignment(member("a", [0, 2]), member("b", [1], [0])))).toBe(false);
  expect(leavesAtStop("auto", assignment(member("a", [0])))).toBe(false);
  expect(leavesAtStop("auto", assignment(member("a", [0], [0])))).toBe(false);
  expect(leavesAtStop("auto", undefined)).toBe(false);
});

test("partitions are handed over where each has a standby elsewhere, unless the member never leaves, or has none", () => {
  const followed = assignment(member("a", [0]), member("b", [], [0]));
  expect([handsOver("auto", followed), handsOver("always", followed), handsOver(undefined, followed)]).toEqual([
    true,
    true,
    true,
  ]);
  expect(handsOver("never", followed)).toBe(false);
  // Whoever gets them would have to read them first: its snapshot is taken before that.
  expect(handsOver("always", assignment(member("a", [0]), member("b", [])))).toBe(false);
  expect(handsOver("auto", assignment(member("a", []), member("b", [0])))).toBe(false);
  expect(handsOver("auto", undefined)).toBe(false);
});
