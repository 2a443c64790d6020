import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Deal, deal } from "../../../src/log/group/deal.ts";

const dealt = (costs: readonly (readonly number[])[], more: Partial<Deal> = {}): number[][] =>
  deal({
    items: costs[0]?.length ?? 0,
    room: costs.map(() => costs[0]?.length ?? 0),
    extra: 0,
    cost: (member, item) => costs[member]![item]!,
    ...more,
  });
const never = Number.POSITIVE_INFINITY;

test("nobody gets nothing", () => {
  expect(dealt([])).toEqual([]);
  expect(dealt([[], []])).toEqual([[], []]);
});

test("each item goes where it costs least", () => {
  expect(
    dealt([
      [0, 5, 0],
      [3, 0, 1],
    ]),
  ).toEqual([[0, 2], [1]]);
});

test("a full member passes on what costs the others least", () => {
  expect(
    dealt(
      [
        [0, 0, 0],
        [9, 2, 5],
      ],
      { room: [2, 2] },
    ),
  ).toEqual([[0, 2], [1]]);
});

test("an item may be passed on by one full member after the other, in whatever order they stand", () => {
  const costs = [
    [never, 1, never, never],
    [never, 0, 1, never],
    [never, never, 0, 1],
    [0, never, never, 0],
  ];
  const room = [1, 1, 1, 1];
  // Item 0 comes last, and only member 3 can have it.
  const last = costs.map((own) => [...own.slice(1), own[0]!]);
  expect(dealt(last, { room })).toEqual([[0], [1], [2], [3]]);
  expect(dealt(last.toReversed(), { room })).toEqual([[3], [2], [1], [0]]);
});

test("the right to an extra item goes to who saves most by it", () => {
  const costs = [
    [0, 0, 0, 0],
    [4, 4, 7, 7],
    [5, 5, 9, 9],
  ];
  expect(dealt(costs, { room: [1, 1, 1], extra: 1 }).map((share) => share.length)).toEqual([2, 1, 1]);
  expect(dealt(costs.toReversed(), { room: [1, 1, 1], extra: 1 }).map((share) => share.length)).toEqual([1, 1, 2]);
});

test("an item for which there is no room is left out", () => {
  expect(
    dealt([
      [0, never],
      [0, never],
    ]),
  ).toEqual([[0], []]);
  expect(dealt([[0, 0, 0]], { room: [2] })).toEqual([[0, 1]]);
});

/** All ways to deal out, with nothing left out: the least cost, or undefined if there is none. */
function leastCost({ items, room, extra, cost }: Deal): number | undefined {
  let least: number | undefined;
  const loads = room.map(() => 0);
  const tryFrom = (item: number, sum: number): void => {
    if (item === items) {
      const excess = loads.map((load, n) => load - room[n]!);
      const isAllowed = excess.every((n) => n <= 1) && excess.filter((n) => n === 1).length <= extra;
      if (isAllowed && (least === undefined || sum < least)) least = sum;
      return;
    }
    for (const member of loads.keys()) {
      if (cost(member, item) === never) continue;
      loads[member]!++;
      tryFrom(item + 1, sum + cost(member, item));
      loads[member]!--;
    }
  };
  tryFrom(0, 0);
  return least;
}

const deals = fc.integer({ min: 1, max: 4 }).chain((members) =>
  fc
    .record({
      items: fc.integer({ min: 0, max: 6 }),
      room: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: members, maxLength: members }),
      extra: fc.integer({ min: 0, max: members }),
      costs: fc.array(fc.array(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant(never)), { minLength: 6, maxLength: 6 }), {
        minLength: members,
        maxLength: members,
      }),
    })
    .map(({ costs, ...rest }): Deal => ({ ...rest, cost: (member, item) => costs[member]![item]! })),
);

test("no other way to deal out all items costs less, and none is left out that could be dealt", () => {
  fc.assert(
    fc.property(deals, (wanted) => {
      const shares = deal(wanted);
      const all = shares.flat();
      for (const [member, share] of shares.entries()) {
        expect(share.length - wanted.room[member]!).toBeLessThanOrEqual(1);
        expect(share.map((item) => wanted.cost(member, item))).not.toContain(never);
      }
      const extras = shares.filter((share, member) => share.length > wanted.room[member]!).length;
      expect(extras).toBeLessThanOrEqual(wanted.extra);
      const least = leastCost(wanted);
      expect(new Set(all).size).toBe(all.length);
      if (least === undefined) return expect(all.length).toBeLessThan(wanted.items);
      expect(all.length).toBe(wanted.items);
      const cost = shares.reduce((sum, share, member) => sum + share.reduce((s, item) => s + wanted.cost(member, item), 0), 0);
      expect(cost).toBe(least);
      return undefined;
    }),
    { numRuns: 2_000 },
  );
});
