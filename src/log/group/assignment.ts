import { deal } from "./deal.ts";

/** One member of a consumer group, as it describes itself when it joins. */
export interface AssignmentMember {
  readonly id: string;
  /**
   * The partitions it held before. Two members may claim the same one: a member that comes back from a stall still
   * claims those it had.
   */
  readonly owned: readonly number[];
  /** How far the partitions are applied of which it has local state, whether it held them or not. */
  readonly positions: ReadonlyMap<number, number>;
}

/**
 * A partition leaves a member that has it if another one is further by more records than this. They are read in about
 * the time that a move takes.
 */
export const MOVE_RECORDS = 10_000;
/** No partition has so many records, and sums of so many are exact. */
const POSITION_MAX = 2 ** 38;

/**
 * Shares the partitions 0 … `partitionCount` − 1 among the members (member id → partitions, ascending).
 *
 * - The members' shares differ in size by at most one.
 * - As far as that allows, partitions stay where they are, and those that move go to who is furthest along, so that the
 *   fewest records are read again.
 * - A member whose state is far behind another's does not keep the partition from it. So a member that was away for too
 *   long gets its partitions back from whoever has just begun to rebuild them.
 * - Of two members that claim the same partition, the one that is further keeps it.
 *
 * It is a pure function of the set of members; their order does not matter. The aims are those of Kafka's sticky
 * assignor (KIP-54), and of Kafka Streams' assignment by lag (KIP-441).
 */
export function assign(members: readonly AssignmentMember[], partitionCount: number): Map<string, number[]> {
  const sorted = byId(members);
  const claims = sorted.map(({ owned }) => new Set(owned));
  const partitions = Array.from({ length: partitionCount }, (_, partition) => partition);
  const base = Math.floor(partitionCount / Math.max(1, sorted.length));
  const shares = deal({
    items: partitionCount,
    room: sorted.map(() => base),
    extra: partitionCount - base * sorted.length,
    cost: costOfHaving(sorted, partitions, claims),
  });
  return new Map(sorted.map(({ id }, n) => [id, shares[n]!.toSorted((a, b) => a - b)]));
}

export const byId = <Member extends { readonly id: string }>(members: readonly Member[]): Member[] =>
  members.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));

/** Orders by the first numbers that differ; the lower ones come first. */
export function compareRanks(a: readonly number[], b: readonly number[]): number {
  const different = a.findIndex((one, n) => one !== b[n]);
  return different < 0 ? 0 : a[different]! - b[different]!;
}

/**
 * What it costs more than at best if a member has one of the partitions: the records that it would have to read, and
 * `MOVE_RECORDS` if it does not have the partition yet. Members and partitions are told by their places in the lists.
 */
export function costOfHaving(
  members: readonly Pick<AssignmentMember, "positions">[],
  partitions: readonly number[],
  has: readonly ReadonlySet<number>[],
): (member: number, place: number) => number {
  // No state at all is a little less than a store in which nothing is applied yet.
  const position = (member: number, partition: number) => Math.min(members[member]!.positions.get(partition) ?? -1, POSITION_MAX);
  // The fraction keeps whole records from ever making a tie of it, which could go one way now and the other way later.
  const move = MOVE_RECORDS + 1 / 64;
  const costs = members.map((_, member) =>
    Float64Array.from(partitions, (one) => (has[member]!.has(one) ? 0 : move) - position(member, one)),
  );
  for (const place of partitions.keys()) {
    const least = Math.min(...costs.map((own) => own[place]!));
    for (const own of costs) own[place]! -= least;
  }
  return (member, place) => costs[member]![place]!;
}
