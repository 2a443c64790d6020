/** One member of a consumer group, as it describes itself when it joins. */
export interface AssignmentMember {
  readonly id: string;
  /**
   * The partitions it held before. Two members may claim the same one: a member that comes back from a stall still
   * claims those it had.
   */
  readonly owned: readonly number[];
  /** The partitions of which it has local state, whether it held them or not. */
  readonly local: readonly number[];
}

/**
 * Shares the partitions 0 … `partitionCount` − 1 among the members (member id → partitions, ascending).
 *
 * - The members' shares differ in size by at most one, and as few partitions move as that allows.
 * - A partition that must move goes to a member that has local state of it, if there is room.
 * - If two members claim the same partition, the one whose id sorts first keeps it.
 *
 * It is a pure function of the set of members; their order does not matter. The aims are those of Kafka's sticky
 * assignor (KIP-54).
 */
export function assign(members: readonly AssignmentMember[], partitionCount: number): Map<string, number[]> {
  const sorted = members.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  const assigned = new Map(sorted.map((member) => [member.id, [] as number[]]));
  if (sorted.length === 0) return assigned;

  // Each member gets `base` partitions, and `extra` members get one more.
  const base = Math.floor(partitionCount / sorted.length);
  let extra = partitionCount % sorted.length;
  const give = (mine: number[], partition: number): void => {
    if (mine.length === base) extra--;
    mine.push(partition);
  };
  const hasRoom = (mine: readonly number[]): boolean => mine.length < base || (mine.length === base && extra > 0);

  const free = new Set(Array.from({ length: partitionCount }, (_, partition) => partition));
  for (const member of sorted) {
    const local = new Set(member.local);
    const mine = assigned.get(member.id)!;
    // A member gives up what exceeds its quota: first partitions without local state, then the highest numbers.
    const claims = [...new Set(member.owned)].toSorted((a, b) => Number(local.has(b)) - Number(local.has(a)) || a - b);
    for (const partition of claims) {
      if (!hasRoom(mine) || !free.delete(partition)) continue;
      give(mine, partition);
    }
  }

  const leastLoaded = (candidates: readonly AssignmentMember[]): number[] | undefined => {
    let least: number[] | undefined;
    for (const { id } of candidates) {
      const mine = assigned.get(id)!;
      if (hasRoom(mine) && (least === undefined || mine.length < least.length)) least = mine;
    }
    return least;
  };
  const locals = sorted.map((member) => new Set(member.local));
  for (const partition of free) {
    const mine = leastLoaded(sorted.filter((_, index) => locals[index]!.has(partition)));
    if (mine === undefined) continue;
    give(mine, partition);
    free.delete(partition);
  }
  for (const partition of free) give(leastLoaded(sorted)!, partition);

  for (const mine of assigned.values()) mine.sort((a, b) => a - b);
  return assigned;
}
