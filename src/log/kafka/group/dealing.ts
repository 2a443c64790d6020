import { shareOut } from "../../group/share-out.ts";
import type { Assignment } from "../../membership.ts";
import type { Absence } from "./absences.ts";
import { decodeMetadata, encodeAssignment, type ToldMember } from "./group-protocol.ts";
import type { JoinedGroup } from "./group-requests.ts";

/**
 * The id by which the members know each other: it is the same after a restart where a member has an instance id. The
 * coordinator's own member id is another one then.
 */
export const idOf = ({ memberId, groupInstanceId }: { memberId: string; groupInstanceId?: string | null | undefined }): string =>
  groupInstanceId ?? memberId;

/** The leader's work: shares each topic that members of the group read among those who read it. */
export async function dealOut(
  { members: joined }: JoinedGroup,
  absent: ReadonlyMap<string, Absence>,
  partitionCount: (topic: string) => Promise<number>,
): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
  const members = joined.map((each) => {
    const [id, told] = [idOf(each), decodeMetadata(each.memberMetadata)];
    const absence = absent.get(id);
    const isRetiring = told.isRetiring === true || absence === "gone";
    return { ...told, memberId: each.memberId, id, isRetiring, isSilent: absence !== undefined };
  });
  const shares = new Map<string, ToldMember[]>();
  for (const topic of new Set(members.flatMap(({ topics }) => topics))) {
    const readers = members.filter(({ topics }) => topics.includes(topic));
    const shared = shareOut(readers, await partitionCount(topic));
    const told = readers.map(({ id, endpoint, standbysPerPartition }) => ({
      id,
      endpoint,
      ...shared.get(id)!,
      standbysPerPartition,
    }));
    shares.set(topic, told);
  }
  return members.map(({ memberId, id }) => ({ memberId, memberAssignment: encodeAssignment(id, shares) }));
}

/** Whether the topic has more partitions than were dealt out. A leader of an earlier version tells of none. */
export async function hasGrown(last: Assignment | undefined, partitionCount: () => Promise<number>): Promise<boolean> {
  const { members = [] } = last ?? {};
  if (members.length === 0) return false;
  const dealt = members.reduce((sum, { partitions }) => sum + partitions.length, 0);
  // Metadata that are unavailable now are no reason to leave the group.
  return (await partitionCount().catch(() => dealt)) > dealt;
}
