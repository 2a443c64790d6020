import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { assign, type AssignmentMember, MOVE_RECORDS } from "../../../src/log/group/assignment.ts";

const member = (id: string, owned: number[] = [], local: number[] = []): AssignmentMember => ({
  id,
  owned,
  positions: new Map(local.map((partition) => [partition, 0])),
});
/** A member that owns `owned` and has applied the partitions up to the offsets that `positions` says. */
const memberAt = (id: string, owned: number[], positions: Record<number, number>): AssignmentMember => ({
  id,
  owned,
  positions: new Map(Object.entries(positions).map(([partition, offset]) => [Number(partition), offset])),
});
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

  test("two claim one partition: who is further keeps it; if neither is, the lexically first id", () => {
    expect(plain(assign([member("b", [0, 1]), member("a", [1, 2])], 4))).toEqual({ a: [1, 2], b: [0, 3] });
    const stalled = memberAt("a", [1, 2], { 1: 400, 2: 500 });
    expect(plain(assign([memberAt("b", [0, 1], { 0: 500, 1: 401 }), stalled], 4))).toEqual({ a: [2, 3], b: [0, 1] });
  });
});

describe("assignment by how far the members are", () => {
  const END = 1_000_000;

  test("an unowned partition goes to who is furthest, as far as there is room", () => {
    const stale = memberAt("a", [], { 0: 10, 1: 900 });
    expect(plain(assign([stale, memberAt("b", [], { 0: 20, 1: 899 }), member("c")], 3))).toEqual({ a: [1], b: [0], c: [2] });
    // Each would rather have partition 1, and b loses more by not having it.
    expect(plain(assign([memberAt("a", [], { 0: 50, 1: 100 }), memberAt("b", [], { 0: 0, 1: 99 })], 2))).toEqual({
      a: [0],
      b: [1],
    });
  });

  test("a newcomer without state takes what its owners are least far with, beside members with stale state", () => {
    const [a, b] = [
      memberAt("a", [0, 1, 4], { 0: END, 1: END, 4: 30, 3: 10 }),
      memberAt("b", [2, 3, 5], { 2: END, 3: 20, 5: END }),
    ];
    expect(plain(assign([a, b, member("n")], 6))).toEqual({ a: [0, 1], b: [2, 5], n: [3, 4] });
  });

  test("a member that was away for too long gets its own back, nearly at the end, and nothing else moves", () => {
    const back = memberAt("a", [], { 0: END - 500, 1: END - 500, 2: END - 500 });
    const [b, c] = [
      memberAt("b", [3, 4, 5, 0], { 3: END, 4: END, 5: END, 0: 9_000 }),
      memberAt("c", [6, 7, 8, 1, 2], { 6: END, 7: END, 8: END }),
    ];
    expect(plain(assign([back, b, c], 9))).toEqual({ a: [0, 1, 2], b: [3, 4, 5], c: [6, 7, 8] });
  });

  test("it gets them back also from a member that would have room for them and has just begun to rebuild", () => {
    const back = memberAt("a", [], { 0: END - 500 });
    const [b, spare] = [memberAt("b", [1], { 1: END }), memberAt("c", [0], { 0: 20_000 })];
    expect(plain(assign([back, b, spare], 2))).toEqual({ a: [0], b: [1], c: [] });
  });

  test("it does not get them back from a member that has caught up", () => {
    const back = memberAt("a", [], { 0: END - 500 });
    expect(plain(assign([back, memberAt("b", [1], { 1: END }), memberAt("c", [0], { 0: END })], 2))).toEqual({
      a: [],
      b: [1],
      c: [0],
    });
  });

  test("an owner that lags a little behind another's state keeps its partition", () => {
    const ahead = memberAt("b", [], { 0: END });
    expect(plain(assign([memberAt("a", [0], { 0: END - MOVE_RECORDS }), ahead], 1))).toEqual({ a: [0], b: [] });
    expect(plain(assign([memberAt("a", [0], { 0: END - MOVE_RECORDS - 1 }), ahead], 1))).toEqual({ a: [], b: [0] });
  });

  test("positions beyond what can be added exactly count as the furthest there is", () => {
    const owner = memberAt("a", [0, 1, 2], { 0: Number.MAX_SAFE_INTEGER, 1: Number.MAX_SAFE_INTEGER, 2: 5 });
    expect(plain(assign([owner, memberAt("b", [], { 0: 2 ** 41 })], 3))).toEqual({ a: [1, 2], b: [0] });
  });
});

const partitionCounts = fc.integer({ min: 0, max: 40 });
const partitionSets = fc.uniqueArray(fc.integer({ min: 0, max: 45 }), { maxLength: 40 });
const positions = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 45 }), fc.nat(100)), { maxLength: 40, selector: ([partition]) => partition })
  .map((entries) => new Map(entries));
const groups = fc.uniqueArray(fc.record({ id: fc.string({ minLength: 1, maxLength: 3 }), owned: partitionSets, positions }), {
  minLength: 1,
  maxLength: 9,
  selector: (each) => each.id,
});
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

/** Few enough that all balanced assignments can be tried. */
const smallGroups = fc.uniqueArray(
  fc.record({
    id: fc.string({ minLength: 1, maxLength: 2 }),
    owned: fc.uniqueArray(fc.integer({ min: 0, max: 6 })),
    positions: positions.map((all) => new Map([...all].filter(([partition]) => partition < 6))),
  }),
  { minLength: 1, maxLength: 3, selector: (each) => each.id },
);

function allBalanced(members: readonly AssignmentMember[], partitionCount: number): Map<string, number[]>[] {
  const base = Math.floor(partitionCount / members.length);
  const found: Map<string, number[]>[] = [];
  for (let code = 0; code < members.length ** partitionCount; code++) {
    const shares = members.map(({ id }) => [id, [] as number[]] as const);
    for (let partition = 0, rest = code; partition < partitionCount; partition++, rest = Math.floor(rest / members.length))
      shares[rest % members.length]![1].push(partition);
    if (shares.every(([, { length }]) => length === base || length === base + 1)) found.push(new Map(shares));
  }
  return found;
}

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
        const turned = other.map((each) => ({
          ...each,
          owned: each.owned.toReversed(),
          positions: new Map([...each.positions].toReversed()),
        }));
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

  test("as many claims are kept as can be, also where several members claim the same partition", () => {
    fc.assert(
      fc.property(smallGroups, fc.integer({ min: 0, max: 5 }), (members, partitionCount) => {
        const keptIn = (assignment: Map<string, number[]>) =>
          members.reduce((sum, each) => sum + kept(each, assignment).length, 0);
        const possible = allBalanced(members, partitionCount).map(keptIn);
        expect(keptIn(assign(members, partitionCount))).toBe(Math.max(...possible));
      }),
    );
  });

  test("no other balanced assignment has fewer records read again, a move counted as some", () => {
    const farApart = smallGroups.map((members) =>
      members.map((each) => ({
        ...each,
        positions: new Map([...each.positions].map(([partition, offset]) => [partition, offset * 1_000] as const)),
      })),
    );
    fc.assert(
      fc.property(farApart, fc.integer({ min: 0, max: 5 }), (members, partitionCount) => {
        const costOf = (assignment: Map<string, number[]>) => {
          const costs = members.flatMap((each) =>
            assignment
              .get(each.id)!
              .map((one) => (each.owned.includes(one) ? 0 : MOVE_RECORDS + 1 / 64) - (each.positions.get(one) ?? -1)),
          );
          return costs.reduce((sum, cost) => sum + cost, 0);
        };
        const possible = allBalanced(members, partitionCount).map(costOf);
        expect(costOf(assign(members, partitionCount))).toBe(Math.min(...possible));
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
          if (owner(partition).positions.has(partition)) continue;
          for (const each of newcomers.filter((one) => one.positions.has(partition))) {
            const mine = assignment.get(each.id)!;
            expect(mine.length).toBeGreaterThanOrEqual(base);
            // The member's room went to partitions with local state, which were given first.
            expect(mine.filter((one) => each.positions.has(one)).length).toBeGreaterThanOrEqual(base);
          }
        }
      }),
    );
  });
});
