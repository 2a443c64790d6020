import type { Assignment, GroupMember, Leaving } from "../membership.ts";

/** Whether a member that stops has others to give its partitions to, which can answer for them at once. */
export const handsOver = (leaving: Leaving | undefined, assignment: Assignment | undefined): boolean =>
  leaving !== "never" && assignment?.partitions.length !== 0 && leavesAtStop("auto", assignment);

/** `assignment` is the last one, undefined if there was none: what the member has then is not known. */
export function leavesAtStop(leaving: Leaving, assignment: Assignment | undefined): boolean {
  if (leaving !== "auto") return leaving === "always";
  if (assignment === undefined) return false;
  const { members, memberId, partitions } = assignment;
  // Who still warms up would have to read first.
  const caughtUp = ({ standbys, warmUps = [] }: GroupMember) => standbys.filter((partition) => !warmUps.includes(partition));
  const followed = new Set(members.filter(({ id }) => id !== memberId).flatMap(caughtUp));
  return partitions.every((partition) => followed.has(partition));
}
