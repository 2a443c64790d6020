import { expect, test } from "bun:test";
import fc from "fast-check";
import { assign } from "../../../src/log/group/assignment.ts";
import { planStandbys, type StandbyMember } from "../../../src/log/group/standbys.ts";

const member = (id: string, more: Partial<StandbyMember> = {}): StandbyMember => ({
  id,
  positions: new Map(),
  following: [],
  standbysPerPartition: 1,
  ...more,
});
/** What each member follows by the plan. */
function placeStandbys(members: readonly StandbyMember[], owned: ReadonlyMap<string, readonly number[]>): Map<string, number[]> {
  const { wanted, ranked } = planStandbys(members, owned);
  const shares = new Map(members.map(({ id }) => [id, [] as number[]]));
  for (const [partition, all] of ranked) for (const id of all.slice(0, wanted)) shares.get(id)!.push(partition);
  for (const share of shares.values()) share.sort((a, b) => a - b);
  return shares;
}
const placed = (members: readonly StandbyMember[], owned: Record<string, readonly number[]>) =>
  Object.fromEntries(placeStandbys(members, new Map(Object.entries(owned))));

test("nobody follows where nobody asks for it, nor where nobody else is there", () => {
  const without = { standbysPerPartition: 0 };
  expect(placed([], {})).toEqual({});
  expect(placed([member("a", without), member("b", without)], { a: [0], b: [1] })).toEqual({ a: [], b: [] });
  expect(placed([member("a")], { a: [0, 1] })).toEqual({ a: [] });
});

test("the largest number that a member asks for counts, as far as there are members", () => {
  const two = { standbysPerPartition: 2 };
  expect(placed([member("a", two), member("b"), member("c")], { a: [0], b: [], c: [] })).toEqual({ a: [], b: [0], c: [0] });
  expect(placed([member("a", two), member("b")], { a: [0], b: [1] })).toEqual({ a: [1], b: [0] });
});

test("a member of an earlier version is not asked to follow", () => {
  const old = { standbysPerPartition: undefined };
  expect(placed([member("a"), member("b", old)], { a: [0], b: [1] })).toEqual({ a: [1], b: [] });
});

test("whose state is furthest follows", () => {
  const at = (offset: number) => ({ positions: new Map([[0, offset]]) });
  expect(placed([member("a"), member("b", at(5)), member("c", at(6))], { a: [0], b: [], c: [] })).toEqual({
    a: [],
    b: [],
    c: [0],
  });
});

test("who follows already goes on, also where another one's state is a little further", () => {
  const [b, c] = [
    { following: [0], positions: new Map([[0, 900]]) },
    { following: [], positions: new Map([[0, 1_000]]) },
  ];
  expect(placed([member("a"), member("b", b), member("c", c)], { a: [0], b: [], c: [] })).toEqual({ a: [], b: [0], c: [] });
});

const END = 1_000_000;
/** Members with an assignment of theirs, and what each of them has followed, with what positions, so far. */
const groups = fc
  .record({
    partitionCount: fc.integer({ min: 0, max: 30 }),
    members: fc.uniqueArray(
      fc.record({
        id: fc.string({ minLength: 1, maxLength: 3 }),
        following: fc.uniqueArray(fc.integer({ min: 0, max: 29 }), { maxLength: 30 }),
        positions: fc
          .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 29 }), fc.nat(100_000)), { selector: ([partition]) => partition })
          .map((entries) => new Map(entries)),
      }),
      { minLength: 1, maxLength: 8, selector: ({ id }) => id },
    ),
  })
  .map(({ partitionCount, members }) => {
    const owned = assign(
      members.map((each) => ({ ...each, owned: [] })),
      partitionCount,
    );
    return { partitionCount, owned, members };
  });
const asking = <Each extends object>(members: readonly Each[], standbysPerPartition: number) =>
  members.map((each) => ({ ...each, standbysPerPartition }));

test("each partition has as many different standbys as are asked for and can be, and none is its owner", () => {
  fc.assert(
    fc.property(groups, fc.integer({ min: 0, max: 4 }), ({ partitionCount, owned, members }, wanted) => {
      const shares = placeStandbys(asking(members, wanted), owned);
      const standbys = (partition: number) => [...shares].filter(([, share]) => share.includes(partition)).map(([id]) => id);
      for (let partition = 0; partition < partitionCount; partition++) {
        expect(standbys(partition).length).toBe(Math.min(wanted, members.length - 1));
        expect(owned.get(standbys(partition)[0] ?? "") ?? []).not.toContain(partition);
        for (const id of standbys(partition)) expect(owned.get(id)).not.toContain(partition);
      }
      for (const share of shares.values()) expect(share).toEqual([...new Set(share)].toSorted((a, b) => a - b));
    }),
  );
});

test("if an owner is lost, each of its partitions is assigned to its standby, and nothing else moves", () => {
  fc.assert(
    fc.property(groups, fc.integer({ min: 1, max: 3 }), ({ partitionCount, owned, members }, wanted) => {
      const shares = placeStandbys(asking(members, wanted), owned);
      for (const lost of members) {
        const left = members
          .filter((each) => each !== lost)
          .map(({ id, positions }) => {
            const caughtUp = [...owned.get(id)!, ...shares.get(id)!].map((partition) => [partition, END] as const);
            return { id, owned: owned.get(id)!, positions: new Map([...positions, ...caughtUp]) };
          });
        const after = assign(left, partitionCount);
        for (const { id } of left)
          for (const partition of after.get(id)!) expect([...owned.get(id)!, ...shares.get(id)!]).toContain(partition);
      }
    }),
  );
});

test("each owner's partitions have their first standbys spread evenly among the others", () => {
  fc.assert(
    fc.property(groups, ({ owned, members }) => {
      fc.pre(members.length > 1);
      const shares = placeStandbys(asking(members, 1), owned);
      for (const [owner, partitions] of owned) {
        const counts = members
          .filter(({ id }) => id !== owner)
          .map(({ id }) => [...owned.get(id)!, ...shares.get(id)!.filter((one) => partitions.includes(one))].length);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }
    }),
  );
});

test("a member of an earlier version in the group takes no standby from a partition", () => {
  fc.assert(
    fc.property(groups, ({ partitionCount, owned, members }) => {
      fc.pre(members.length > 2);
      const [old, ...rest] = asking(members, 1);
      const shares = placeStandbys([{ ...old!, standbysPerPartition: undefined }, ...rest], owned);
      expect(shares.get(old!.id)).toEqual([]);
      expect([...shares.values()].flat().toSorted((a, b) => a - b)).toEqual([...Array(partitionCount).keys()]);
    }),
  );
});

test("placed again, nothing moves, once those who follow are as far as the owners", () => {
  fc.assert(
    fc.property(groups, fc.integer({ min: 0, max: 3 }), ({ owned, members }, wanted) => {
      const first = placeStandbys(asking(members, wanted), owned);
      const following = asking(members, wanted).map((each) => {
        const caughtUp = first.get(each.id)!.map((partition) => [partition, END] as const);
        return { ...each, following: first.get(each.id)!, positions: new Map([...each.positions, ...caughtUp]) };
      });
      expect([...placeStandbys(following, owned)]).toEqual([...first]);
    }),
  );
});

test("with one standby each, nothing moves also before that", () => {
  fc.assert(
    fc.property(groups, ({ owned, members }) => {
      const first = placeStandbys(asking(members, 1), owned);
      const following = asking(members, 1).map((each) => ({ ...each, following: first.get(each.id)! }));
      expect([...placeStandbys(following, owned)]).toEqual([...first]);
    }),
  );
});

test("the order of the members does not matter", () => {
  fc.assert(
    fc.property(groups, fc.integer({ min: 0, max: 3 }), ({ owned, members }, wanted) => {
      const turned = placeStandbys(asking(members, wanted).toReversed(), new Map([...owned].toReversed()));
      expect(Object.fromEntries(turned)).toEqual(Object.fromEntries(placeStandbys(asking(members, wanted), owned)));
    }),
  );
});
