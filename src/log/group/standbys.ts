import { byId, compareRanks, costOfHaving } from "./assignment.ts";
import { deal } from "./deal.ts";

/** One member of a consumer group, as far as it matters for what it is to follow. */
export interface StandbyMember {
  readonly id: string;
  /** How far the partitions are applied of which it has local state. */
  readonly positions: ReadonlyMap<number, number>;
  /** The partitions that it has followed so far. */
  readonly following: readonly number[];
  /** How many standbys it asks for. Undefined for a program of an earlier version, which cannot follow. */
  readonly standbysPerPartition: number | undefined;
}

/** Who is to follow each partition. */
export interface StandbyPlan {
  /** How many follow each partition, as far as there are members: as many as the member asks for that asks for most. */
  readonly wanted: number;
  /** By partition, all who could follow it, its owner left out: the first `wanted` of them are to. */
  readonly ranked: ReadonlyMap<number, readonly string[]>;
}

/**
 * Chooses for each partition the members that follow it without owning it.
 *
 * - A partition's first standby is who would be assigned the partition if its owner were lost: the group would be
 *   balanced then, and each partition of the lost member be with a member that has followed it.
 * - As far as that allows, members go on to follow what they follow, then those follow whose state is furthest, then
 *   those that do least.
 *
 * It is a pure function of the set of members; their order does not matter. `owned` has the partitions of each member.
 */
export function planStandbys(members: readonly StandbyMember[], owned: ReadonlyMap<string, readonly number[]>): StandbyPlan {
  const able = byId(members.filter(({ standbysPerPartition }) => standbysPerPartition !== undefined));
  const wanted = Math.max(0, ...able.map(({ standbysPerPartition }) => standbysPerPartition ?? 0));
  const loads = new Map(members.map(({ id }) => [id, owned.get(id)?.length ?? 0]));
  const load = ({ id }: StandbyMember): number => loads.get(id)!;
  const ranked = new Map<number, readonly string[]>();
  for (const [owner, partitions] of [...owned].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const others = able.filter(({ id }) => id !== owner).toSorted((a, b) => load(a) - load(b));
    const cost = costOfHaving(
      others,
      partitions,
      others.map(({ following }) => new Set(following)),
    );
    const dealt = wanted === 0 ? [] : deal({ items: partitions.length, cost, ...placesIfLost(owner, others, owned) });
    for (const [place, partition] of partitions.entries()) {
      const first = dealt.findIndex((share) => share.includes(place));
      const rank = (member: number) => [member === first ? 0 : 1, cost(member, place), load(others[member]!)];
      const all = [...others.keys()].toSorted((a, b) => compareRanks(rank(a), rank(b))).map((member) => others[member]!.id);
      for (const id of all.slice(0, wanted)) loads.set(id, loads.get(id)! + 1);
      ranked.set(partition, all);
    }
  }
  return { wanted, ranked };
}

/**
 * What each of the others would get of the owner's if that were lost: how many partitions each has room for, and how
 * many of them for one more. Members of earlier versions would get some too, though they cannot follow them.
 */
function placesIfLost(
  owner: string,
  others: readonly StandbyMember[],
  owned: ReadonlyMap<string, readonly number[]>,
): { readonly room: number[]; readonly extra: number } {
  const left = [...owned].filter(([id]) => id !== owner).map(([, { length }]) => length);
  const partitionCount = [...owned.values()].reduce((sum, { length }) => sum + length, 0);
  const base = Math.floor(partitionCount / Math.max(1, left.length));
  const taken = left.filter((length) => length > base).length;
  return {
    room: others.map(({ id }) => base - (owned.get(id)?.length ?? 0)),
    extra: partitionCount - base * left.length - taken,
  };
}
