import { describe, expect, test } from "bun:test";
import { Members } from "../../src/fleet/members.ts";
import { ManualClock } from "../support/manual-clock.ts";

const a = { id: "a", endpoint: "http://a", partitions: [0, 3], standbys: [] };
const b = { id: "b", endpoint: "http://b", partitions: [1], standbys: [] };
const untold = { id: "c", endpoint: undefined, partitions: [2], standbys: [] };
const assignment = { memberId: "a", partitions: a.partitions, standbys: [], members: [a, b, untold] };

function members(): { readonly of: Members; readonly clock: ManualClock } {
  const clock = new ManualClock();
  return { of: new Members(clock), clock };
}

describe("the owner of a partition", () => {
  test("is not known before anything is assigned", () => {
    const { of } = members();
    expect([of.ownerOf(0), of.partitionCount, of.peers]).toEqual([undefined, 0, []]);
  });

  test("is another member, this one, one that did not say where it is, or nobody yet", () => {
    const { of } = members();
    of.assigned(assignment);
    expect([0, 1, 2, 3, 4].map((partition) => of.ownerOf(partition))).toEqual([
      "self",
      { id: "b", url: "http://b" },
      undefined,
      "self",
      "nobody",
    ]);
    expect([of.partitionCount, of.self, of.peers]).toEqual([4, "a", [{ id: "b", url: "http://b" }]]);
  });

  test("is not told by a leader of an earlier version", () => {
    const { of } = members();
    of.assigned(assignment);
    of.assigned({ ...assignment, members: [] });
    expect([of.ownerOf(1), of.ownerOf(0), of.ownerOf(9), of.partitionCount]).toEqual([undefined, undefined, undefined, 0]);
  });
});

describe("a newer assignment", () => {
  test("is waited for, so long and no longer", async () => {
    const { of, clock } = members();
    of.assigned(assignment);
    const { version } = of;
    const inTime = of.newerThan(version, 100);
    of.assigned(assignment);
    expect(await inTime).toBe(true);
    const tooLate = of.newerThan(of.version, 100);
    await clock.pass(100);
    expect(await tooLate).toBe(false);
  });

  test("that has come already is not waited for, nor is one for which there is no time", async () => {
    const { of } = members();
    expect(await of.newerThan(of.version, 0)).toBe(false);
    const { version } = of;
    of.assigned(assignment);
    expect(await of.newerThan(version, 1_000)).toBe(true);
  });
});
