import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type SharingMember, type Share, shareOut, WARM_UPS_MAX } from "../../../src/log/group/share-out.ts";

const END = 1_000_000;

const member = (id: string, more: Partial<SharingMember> = {}): SharingMember => ({
  id,
  owned: [],
  following: [],
  positions: new Map(),
  ready: [],
  standbysPerPartition: 0,
  ...more,
});
const at = (offset: number, ...partitions: number[]) => ({
  positions: new Map(partitions.map((partition) => [partition, offset])),
});
/** It owns the partitions and answers for them. */
const answering = (...partitions: number[]) => ({ owned: partitions, ready: partitions, ...at(END, ...partitions) });
const shared = (members: readonly SharingMember[], partitionCount: number) =>
  Object.fromEntries(shareOut(members, partitionCount));

describe("partitions that somebody answers for", () => {
  test("stay with the owner until the newcomer has caught up, and go to it then", () => {
    expect(shared([member("a", answering(0, 1)), member("n")], 2)).toEqual({
      a: { partitions: [0, 1], standbys: [], warmUps: [] },
      n: { partitions: [], standbys: [1], warmUps: [1] },
    });
    const warm = member("n", { following: [1], ready: [1], ...at(END - 5_000, 1) });
    expect(shared([member("a", answering(0, 1)), warm], 2)).toEqual({
      a: { partitions: [0], standbys: [], warmUps: [] },
      n: { partitions: [1], standbys: [], warmUps: [] },
    });
  });

  test("stay also beside a member whose state is nearly as far, as nobody knows how long it takes to read the rest", () => {
    const back = member("b", at(END, 0, 1));
    expect(shared([member("a", answering(0, 1)), back], 2).b).toEqual({ partitions: [], standbys: [1], warmUps: [1] });
  });

  test("are not taken from an owner that is a little behind in a follower's eyes", () => {
    const ahead = member("b", { following: [0], ready: [0], ...at(END + 500_000, 0) });
    expect(shared([member("a", answering(0)), ahead], 1).a?.partitions).toEqual([0]);
  });

  test("go to their standbys when the owner is lost, however unequal the shares become, and are shared out from there", () => {
    const standby = { following: [4, 5, 6, 7], ready: [0, 1, 4, 5, 6, 7], ...at(END, 0, 1, 4, 5, 6, 7) };
    const shares = shared([member("a", { owned: [0, 1], ...standby }), member("b", answering(2, 3))], 8);
    expect(shares.a?.partitions).toEqual([0, 1, 4, 5, 6, 7]);
    expect(shares.b).toEqual({ partitions: [2, 3], standbys: [6, 7], warmUps: [6, 7] });
  });

  test("go from a member that retires to their standbys; it gets nothing, and follows nothing, unless all retire", () => {
    const retiring = { ...member("a", answering(0, 1)), isRetiring: true };
    const standby = member("b", { ...answering(2), following: [1], ready: [1, 2], standbysPerPartition: 1, ...at(END, 1, 2) });
    const other = member("c", { ...answering(3), following: [0], ready: [0, 3], standbysPerPartition: 1, ...at(END, 0, 3) });
    expect(shared([retiring, standby, other], 4)).toMatchObject({
      a: { partitions: [], standbys: [], warmUps: [] },
      b: { partitions: [1, 2], standbys: [0, 3] },
      c: { partitions: [0, 3], standbys: [1, 2] },
    });
    expect(shared([retiring], 2).a?.partitions).toEqual([0, 1]);
  });

  test("go from a member that is silent to their standbys, and it warms up what it is to have again", () => {
    const silent = { ...member("a", { ...answering(0, 1), standbysPerPartition: 1 }), isSilent: true };
    const standby = member("b", { ...answering(2, 0), owned: [2], following: [0], standbysPerPartition: 1 });
    expect(shared([silent, standby], 3)).toMatchObject({ a: { partitions: [1], warmUps: [0] }, b: { partitions: [0, 2] } });
  });

  test("are warmed up a few at a time, those first that are furthest", () => {
    const newcomer = member("n", {
      following: [9],
      positions: new Map([
        [7, 400],
        [9, 100],
      ]),
    });
    const owners = [member("a", answering(...range(0, 10))), member("b", answering(...range(10, 20)))];
    const { n } = shared([...owners, newcomer], 20);
    expect(n?.warmUps).toHaveLength(WARM_UPS_MAX);
    expect(n?.warmUps).toEqual(expect.arrayContaining([7, 9]));
  });

  test("are not given to a program of an earlier version, which cannot follow", () => {
    const old = member("o", { ready: undefined, standbysPerPartition: undefined });
    expect(shared([member("a", answering(0, 1)), old], 2)).toEqual({
      a: { partitions: [0, 1], standbys: [], warmUps: [] },
      o: { partitions: [], standbys: [], warmUps: [] },
    });
  });

  test("are those that a program of an earlier version owns", () => {
    const old = member("o", { owned: [0, 1], ready: undefined, standbysPerPartition: undefined });
    expect(shared([old, member("n")], 2)).toEqual({
      o: { partitions: [0, 1], standbys: [], warmUps: [] },
      n: { partitions: [], standbys: [1], warmUps: [1] },
    });
  });
});

describe("partitions that nobody answers for", () => {
  test("are dealt out at once", () => {
    expect(shared([member("a"), member("b")], 2)).toEqual({
      a: { partitions: [0], standbys: [], warmUps: [] },
      b: { partitions: [1], standbys: [], warmUps: [] },
    });
  });

  test("are shared with a newcomer while their owner still reads", () => {
    const reading = member("a", { owned: [0, 1], ...at(5, 0, 1) });
    expect(shared([reading, member("n")], 2).n?.partitions).toEqual([1]);
  });
});

test("standbys that are asked for are placed beside the warm-ups", () => {
  const owners = [member("a", { ...answering(0, 1), standbysPerPartition: 1 }), member("b", answering(2, 3))];
  const { a, b, n } = shared([...owners, member("n")], 4);
  const followed = [a, b, n].flatMap((share) => share!.standbys);
  for (const partition of range(0, 4)) expect(followed).toContain(partition);
  expect(n!.standbys).toEqual(expect.arrayContaining([...n!.warmUps]));
});

describe("a member that joins others", () => {
  const following = (owned: readonly number[], followed: readonly number[]) => ({
    ...answering(...owned, ...followed),
    owned,
    following: followed,
    standbysPerPartition: 1,
  });
  const three = [
    member("a", following(range(0, 4), range(4, 8))),
    member("b", following(range(4, 8), range(8, 12))),
    member("c", following(range(8, 12), range(0, 4))),
  ];

  test("warms up standbys a few at a time as well, and who follows them goes on until then", () => {
    const shares = shared([...three, member("n", { standbysPerPartition: 1 })], 12);
    expect(shares.n?.warmUps).toHaveLength(WARM_UPS_MAX);
    expect(shares.n).toMatchObject({ partitions: [], standbys: shares.n!.warmUps });
    for (const { id, owned, following: followed } of three)
      expect(shares[id]).toMatchObject({ partitions: owned, standbys: expect.arrayContaining(followed) });
  });

  test("has no more than its part in the end", () => {
    let members: readonly SharingMember[] = [...three, member("n", { standbysPerPartition: 1 })];
    for (let round = 0; round < 12; round++) {
      const shares = shareOut(members, 12);
      members = members.map((each) => after(each, shares.get(each.id)!, () => true));
    }
    for (const { owned, following: followed } of members) expect([owned.length, followed.length]).toEqual([3, 3]);
  });
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, n) => from + n);
}

/** Any members, also such as claim the same partitions or have stale state. */
const groups = fc.uniqueArray(
  fc
    .record({
      id: fc.string({ minLength: 1, maxLength: 2 }),
      owned: fc.uniqueArray(fc.nat(15)),
      following: fc.uniqueArray(fc.nat(15)),
      unready: fc.uniqueArray(fc.nat(15)),
      positions: fc
        .uniqueArray(fc.tuple(fc.nat(15), fc.nat(END)), { selector: ([partition]) => partition })
        .map((entries) => new Map(entries)),
      standbysPerPartition: fc.nat(2),
    })
    .map(({ unready, ...told }): SharingMember => {
      const ready = [...told.owned, ...told.following].filter((partition) => !unready.includes(partition));
      return { ...told, ready };
    }),
  { minLength: 1, maxLength: 6, selector: ({ id }) => id },
);
const counts = fc.nat(16);

describe("sharing out", () => {
  test("gives each partition one owner, who does not follow it, and depends on no order", () => {
    fc.assert(
      fc.property(groups, counts, (members, count) => {
        const shares = shareOut(members, count);
        const owned = [...shares.values()].flatMap(({ partitions }) => partitions).toSorted((a, b) => a - b);
        expect(owned).toEqual(range(0, count));
        for (const { partitions, standbys, warmUps } of shares.values()) {
          expect(standbys.filter((partition) => partitions.includes(partition))).toEqual([]);
          expect(warmUps.length).toBeLessThanOrEqual(WARM_UPS_MAX);
          expect(warmUps.every((partition) => standbys.includes(partition))).toBe(true);
        }
        expect(shareOut(members.toReversed(), count)).toEqual(shares);
      }),
    );
  });

  test("never lets a partition without an answer that some member could answer for", () => {
    fc.assert(
      fc.property(groups, counts, (members, count) => {
        const shares = shareOut(members, count);
        for (const partition of range(0, count)) {
          const owner = members.find(({ id }) => shares.get(id)!.partitions.includes(partition));
          const isReady = ({ ready }: SharingMember) => ready?.includes(partition) === true;
          if (members.some(isReady)) expect(isReady(owner!)).toBe(true);
        }
      }),
    );
  });

  test("leaves each partition the copies that could answer at once, as many as are asked for", () => {
    fc.assert(
      fc.property(groups, counts, (members, count) => {
        const shares = shareOut(members, count);
        const wanted = 1 + Math.max(...members.map(({ standbysPerPartition = 0 }) => standbysPerPartition));
        for (const partition of range(0, count)) {
          const ready = members.filter((each) => each.ready?.includes(partition) === true);
          const has = ({ id }: SharingMember) => {
            const { partitions, standbys } = shares.get(id)!;
            return partitions.includes(partition) || standbys.includes(partition);
          };
          expect(ready.filter(has).length).toBeGreaterThanOrEqual(Math.min(wanted, ready.length));
        }
      }),
    );
  });

  test("comes to rest: once each warm-up has caught up, in whatever order, the shares are balanced and nothing moves", () => {
    fc.assert(
      fc.property(groups, counts, fc.infiniteStream(fc.boolean()), (first, count, chance) => {
        let members: readonly SharingMember[] = first;
        let rounds = 0;
        for (;;) {
          const shares = shareOut(members, count);
          const awaited = [...shares.values()].flatMap(({ warmUps }) => warmUps);
          const next = members.map((each) => after(each, shares.get(each.id)!, () => chance.next().value === true));
          if (awaited.length === 0 && rounds > 0) {
            const sizes = [...shares.values()].map(({ partitions }) => partitions.length);
            expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
            const wanted = Math.max(...members.map(({ standbysPerPartition = 0 }) => standbysPerPartition));
            for (const partition of range(0, count)) {
              const followers = [...shares.values()].filter(({ standbys }) => standbys.includes(partition));
              expect(followers.length).toBe(Math.min(wanted, members.length - 1));
            }
            const owned = (all: Map<string, Share>) => [...all].map(([id, { partitions }]) => [id, partitions]);
            expect(owned(shareOut(next, count))).toEqual(owned(shares));
            return;
          }
          members = next;
          expect(++rounds).toBeLessThan(ROUNDS_MAX);
        }
      }),
    );
  });
});

/** Each partition is warmed up once at most; that it takes so many rounds takes that one is ready in each. */
const ROUNDS_MAX = 4 * 16;

/** What the member tells when it joins again: it answers for what it owns, and some of what it follows has caught up. */
function after(each: SharingMember, { partitions, standbys, warmUps }: Share, isReady: () => boolean): SharingMember {
  const known = new Set(each.ready);
  const caughtUp = standbys.filter((partition) => known.has(partition) || isReady());
  // Somebody asks for a new assignment only when something has caught up.
  const ready = [...partitions, ...caughtUp, ...(caughtUp.length === 0 ? warmUps.slice(0, 1) : [])];
  const behind = standbys.filter((partition) => !ready.includes(partition));
  const positions = new Map([
    ...each.positions,
    ...behind.map((partition) => [partition, Math.max(each.positions.get(partition) ?? 0, END / 2)] as const),
    ...ready.map((partition) => [partition, END] as const),
  ]);
  return { ...each, owned: partitions, following: standbys, ready, positions };
}
