import type { Assignment } from "../../membership.ts";

/**
 * A leader of a version from before there were standbys deals partitions out to whoever subscribes to the topic, without
 * asking whether that member could answer for them. So that an upgrade leaves no gap, a member that could not answer for
 * all partitions joins without a subscription that such a leader sees (`MemberMetadata.isWaiting`); a leader of this
 * version sees what it wants all the same. Under an old leader it follows all partitions, and subscribes once it is ready
 * for each of them. It goes on to follow those that it does not get, since the next one may be a matter of seconds.
 */
export const isToWait = (partitionCount: number, ready: readonly number[]): boolean => {
  const could = new Set(ready);
  return all(partitionCount).some((partition) => !could.has(partition));
};

/** What an assignment of a leader means that does not tell who else is in the group. */
export function underOldLeader(assignment: Assignment, partitionCount: number, isWaiting: boolean): Assignment {
  const own = new Set(assignment.partitions);
  const standbys = all(partitionCount).filter((partition) => !own.has(partition));
  return { ...assignment, standbys, warmUps: isWaiting ? standbys : [] };
}

const all = (partitionCount: number): number[] => Array.from({ length: partitionCount }, (_, partition) => partition);
