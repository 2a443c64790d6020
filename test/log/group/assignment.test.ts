import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { assign } from "../../../src/log/group/assignment.ts";
import type { AssignmentMember } from "../../../src/log/group/assignment.ts";

const member = (id: string, owned: number[] = [], local: number[] = []): AssignmentMember => ({ id, owned, local });
const plain = (assignment: Map<string, number[]>) => Object.fromEntries(assignment);

describe("assignment by example", () => {
  test("nobody gets nothing, one gets all", () => {
    expect(plain(assign([], 3))).toEqual({});
    expect(plain(assign([member("a")], 3))).toEqual({ a: [0, 1, 2] });
    expect(plain(assign([member("a")], 0))).toEqual({ a: [] });
  });

  test("a newcomer takes only what is over the others' quota", () => {
    expect(plain(assign([member("a", [0, 2, 4]), member("b", [1, 3, 5]), member("c")], 6))).toEqual({
      a: [0, 2],
      b: [1, 3],
      c: [4, 5],
    });
  });

  test("who leaves is replaced, nothing else moves", () => {
    expect(plain(assign([member("b", [1, 3]), member("c", [4, 5])], 6))).toEqual({ b: [0, 1, 3], c: [2, 4, 5] });
  });

  test("unowned partitions go where their state lies", () => {
    expect(plain(assign([member("a", [], [2, 3]), member("b", [], [0, 1])], 4))).toEqual({ a: [2, 3], b: [0, 1] });
  });

  test("what has no local state is let go first", () => {
    expect(plain(assign([member("a", [0, 1, 2, 3], [2, 3]), member("b")], 4))).toEqual({ a: [2, 3], b: [0, 1] });
  });

  test("two claim one partition: the lexically first id keeps it", () => {
    expect(plain(assign([member("b", [0, 1]), member("a", [1, 2])], 4))).toEqual({ a: [1, 2], b: [0, 3] });
  });
});

const partitionCounts = fc.integer({ min: 0, max: 40 });
const partitionSets = fc.uniqueArray(fc.integer({ min: 0, max: 45 }), { maxLength: 40 });
const groups = fc.uniqueArray(
  fc.record({ id: fc.string({ minLength: 1, maxLength: 3 }), owned: partitionSets, local: partitionSets }),
  {
    minLength: 1,
    maxLength: 9,
    selector: (each) => each.id,
  },
);
/** Members whose claims do not overlap, as after any earlier assignment, balanced or not. */
const uncontested = fc
  .tuple(groups, partitionCounts)
  .chain(([members, partitionCount]) =>
    fc.tuple(
      fc.constant(members),
      fc.constant(partitionCount),
      fc.array(fc.option(fc.nat(members.length - 1)), { minLength: partitionCount, maxLength: partitionCount }),
    ),
  )
  .map(([members, partitionCount, owners]) => ({
    partitionCount,
    members: members.map((each, index) => ({
      ...each,
      owned: owners.flatMap((owner, partition) => (owner === index ? [partition] : [])),
    })),
  }));

const kept = (each: AssignmentMember, assignment: Map<string, number[]>) => {
  const mine = new Set(assignment.get(each.id));
  return each.owned.filter((partition) => mine.has(partition));
};

describe("assignment by property", () => {
  test("each partition has exactly one owner, and sizes differ by at most one", () => {
    fc.assert(
      fc.property(groups, partitionCounts, (members, partitionCount) => {
        const shares = [...assign(members, partitionCount).values()];
        expect(shares.length).toBe(members.length);
        expect(shares.flat().toSorted((a, b) => a - b)).toEqual(
          Array.from({ length: partitionCount }, (_, partition) => partition),
        );
        const sizes = shares.map((share) => share.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("the order of the members and of their lists does not matter", () => {
    const shuffled = groups.chain((members) =>
      fc.tuple(fc.constant(members), fc.shuffledSubarray(members, { minLength: members.length, maxLength: members.length })),
    );
    fc.assert(
      fc.property(shuffled, partitionCounts, ([members, other], partitionCount) => {
        const turned = other.map((each) => ({ ...each, owned: each.owned.toReversed(), local: each.local.toReversed() }));
        const sortedPlain = (assignment: Map<string, number[]>) => [...assignment].toSorted(([a], [b]) => (a < b ? -1 : 1));
        expect(sortedPlain(assign(turned, partitionCount))).toEqual(sortedPlain(assign(members, partitionCount)));
      }),
    );
  });

  test("no more moves than the balance asks for", () => {
    fc.assert(
      fc.property(uncontested, ({ members, partitionCount }) => {
        const assignment = assign(members, partitionCount);
        const base = Math.floor(partitionCount / members.length);
        const extra = partitionCount % members.length;
        const over = members.filter((each) => each.owned.length > base).length;
        const stay = members.reduce((sum, each) => sum + Math.min(each.owned.length, base), 0) + Math.min(extra, over);
        expect(members.reduce((sum, each) => sum + kept(each, assignment).length, 0)).toBe(stay);
      }),
    );
  });

  test("assigned again, nothing moves", () => {
    fc.assert(
      fc.property(groups, partitionCounts, (members, partitionCount) => {
        const first = assign(members, partitionCount);
        const again = assign(
          members.map((each) => ({ ...each, owned: first.get(each.id)! })),
          partitionCount,
        );
        expect(plain(again)).toEqual(plain(first));
      }),
    );
  });

  test("a claim of the lexically first claimant goes to nobody else while it has room", () => {
    fc.assert(
      fc.property(groups, partitionCounts, (members, partitionCount) => {
        const assignment = assign(members, partitionCount);
        const base = Math.floor(partitionCount / members.length);
        const sorted = members.toSorted((a, b) => (a.id < b.id ? -1 : 1));
        const taken = new Set<number>();
        for (const each of sorted) {
          const claims = each.owned.filter((partition) => partition < partitionCount && !taken.has(partition));
          const mine = kept({ ...each, owned: claims }, assignment);
          expect(mine.length).toBeGreaterThanOrEqual(Math.min(claims.length, base));
          for (const partition of mine) taken.add(partition);
        }
      }),
    );
  });

  test("an unowned partition is without local state only where no member with local state had room", () => {
    fc.assert(
      fc.property(groups, partitionCounts, (members, partitionCount) => {
        const newcomers = members.map((each) => ({ ...each, owned: [] }));
        const assignment = assign(newcomers, partitionCount);
        const base = Math.floor(partitionCount / members.length);
        const owner = (partition: number) => newcomers.find((each) => assignment.get(each.id)!.includes(partition))!;
        for (let partition = 0; partition < partitionCount; partition++) {
          if (owner(partition).local.includes(partition)) continue;
          for (const each of newcomers.filter(({ local }) => local.includes(partition))) {
            const mine = assignment.get(each.id)!;
            expect(mine.length).toBeGreaterThanOrEqual(base);
            // The member's room went to partitions with local state, which were given first.
            expect(mine.filter((one) => each.local.includes(one)).length).toBeGreaterThanOrEqual(base);
          }
        }
      }),
    );
  });
});
