import { gunzipSync, gzipSync } from "node:zlib";
import { AssignerProtocol } from "kafkajs";
import type { SharingMember } from "../../group/share-out.ts";
import type { Assignment, GroupMember } from "../../membership.ts";

/**
 * The name under which our members agree on an assignment. A member with another protocol cannot join the same group.
 */
export const PROTOCOL = "orders-sticky";

/**
 * What members of a Kafka group tell each other, in the user data of the classic group protocol: each tells the leader
 * about itself when it joins (JoinGroup), and the leader tells all members about all (SyncGroup). It is JSON, in which
 * a reader ignores what it does not know and does without what is missing, so that members of two versions can share a
 * group. Large ones are compressed: the broker keeps every member's assignment, each with all members, in one record,
 * and takes none above message.max.bytes.
 */
export interface MemberMetadata extends Omit<SharingMember, "id"> {
  readonly topics: readonly string[];
  /** Whether only leaders of this version are to see that it wants the topics; see old-leaders.ts. */
  readonly isWaiting: boolean;
  readonly endpoint: string | undefined;
  /** How often the member has asked for a new assignment: the coordinator heeds a JoinGroup that says something new. */
  readonly asked: number;
  /**
   * The generation that it was in before; −1 if in none. Undefined for a program of an earlier version, which does not
   * tell.
   */
  readonly generation: number | undefined;
}

/** What the leader tells all members of one of them. What that member asks for, it tells so that the member can see it. */
export interface ToldMember extends GroupMember {
  readonly standbysPerPartition: number | undefined;
}

export const encodeMetadata = ({ topics, isWaiting, isRetiring, positions, ...told }: MemberMetadata): Buffer =>
  AssignerProtocol.MemberMetadata.encode({
    version: 1,
    topics: isWaiting ? [] : [...topics],
    // Members of earlier versions read `owned` and `local` alone.
    userData: json({
      ...told,
      ...(isWaiting && { topics }),
      ...(isRetiring && { isRetiring }),
      local: [...positions.keys()],
      positions: [...positions],
    }),
  });

/** Whatever another program's member says of itself that cannot be read counts as not said. */
export function decodeMetadata(metadata: Buffer): MemberMetadata {
  try {
    const decoded = AssignerProtocol.MemberMetadata.decode(metadata);
    const told = parsed(decoded?.userData);
    const { topics, owned, following, local, positions, ready, standbysPerPartition, endpoint, asked, isRetiring, generation } =
      told;
    return {
      topics: Array.isArray(topics) ? topics.map(String) : (decoded?.topics ?? []),
      isWaiting: Array.isArray(topics),
      isRetiring: isRetiring === true,
      owned: numbers(owned),
      following: numbers(following),
      positions: Array.isArray(positions) ? new Map(positions.filter(isPosition)) : untold(numbers(local), numbers(owned)),
      ready: Array.isArray(ready) ? numbers(ready) : undefined,
      standbysPerPartition: count(standbysPerPartition),
      endpoint: text(endpoint),
      asked: count(asked) ?? 0,
      generation: Number.isSafeInteger(generation) ? (generation as number) : undefined,
    };
  } catch {
    const nothing = { ready: undefined, standbysPerPartition: undefined, endpoint: undefined, asked: 0, generation: undefined };
    return { topics: [], isWaiting: false, isRetiring: false, owned: [], following: [], positions: new Map(), ...nothing };
  }
}

/**
 * A program of an earlier version does not tell how far it is. What it owns counts as applied to the end, so that it is
 * left where it is.
 */
const untold = (local: readonly number[], owned: readonly number[]): Map<number, number> =>
  new Map([...local.map((one) => [one, 0] as const), ...owned.map((one) => [one, Number.MAX_SAFE_INTEGER] as const)]);

/** `members` has those who share each topic. */
export function encodeAssignment(id: string, members: ReadonlyMap<string, readonly ToldMember[]>): Buffer {
  const assignment: Record<string, number[]> = {};
  const told: Record<string, readonly ToldMember[]> = {};
  for (const [topic, sharing] of members) {
    const mine = sharing.find((member) => member.id === id);
    if (mine === undefined) continue;
    assignment[topic] = [...mine.partitions];
    told[topic] = sharing;
  }
  return AssignerProtocol.MemberAssignment.encode({ version: 1, assignment, userData: json({ members: told }) });
}

/** What an assignment says, and in `told` what it says of the member itself, whose id this is. */
export function decodeAssignment(
  bytes: Buffer,
  topic: string,
  id: string,
): { readonly assignment: Assignment; readonly told: ToldMember | undefined } {
  const decoded = AssignerProtocol.MemberAssignment.decode(bytes);
  const all = membersIn(decoded?.userData, topic);
  const told = all.find((member) => member.id === id);
  const members = all.map(({ id: each, endpoint, partitions, standbys, warmUps }) => ({
    id: each,
    endpoint,
    partitions,
    standbys,
    ...(warmUps && { warmUps }),
  }));
  const owned = ascending(decoded?.assignment[topic] ?? []);
  const { standbys: followed = [], warmUps: awaited } = told ?? {};
  return { assignment: { partitions: owned, standbys: followed, warmUps: awaited, memberId: id, members }, told };
}

function membersIn(userData: Buffer | undefined, topic: string): ToldMember[] {
  const { members } = parsed(userData);
  const told: unknown = (members as Record<string, unknown> | undefined)?.[topic];
  if (!Array.isArray(told)) return [];
  return told.map((one: Partial<Record<keyof ToldMember, unknown>>) => ({
    id: String(one.id),
    endpoint: text(one.endpoint),
    partitions: ascending(numbers(one.partitions)),
    standbys: ascending(numbers(one.standbys)),
    ...(numbers(one.warmUps).length > 0 && { warmUps: ascending(numbers(one.warmUps)) }),
    standbysPerPartition: count(one.standbysPerPartition),
  }));
}

/** Smaller user data are left as they are, for people to read in a group's description. */
const PLAIN_BYTES_MAX = 1_024;
/** Many times what the largest group needs; more than this is not unpacked. */
const UNPACKED_BYTES_MAX = 16 * 1024 * 1024;
/** The first byte of gzip (RFC 1952), which no JSON begins with. */
const GZIP_FIRST_BYTE = 0x1f;

function json(value: object): Buffer {
  const plain = Buffer.from(JSON.stringify(value));
  return plain.length <= PLAIN_BYTES_MAX ? plain : gzipSync(plain);
}

const unpacked = (userData: Buffer): Buffer =>
  userData[0] === GZIP_FIRST_BYTE ? gunzipSync(userData, { maxOutputLength: UNPACKED_BYTES_MAX }) : userData;

function parsed(userData: Buffer | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(String(userData && unpacked(userData)));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

const isPosition = (entry: unknown): entry is [number, number] =>
  Array.isArray(entry) && entry.length === 2 && entry.every((n) => Number.isSafeInteger(n) && n >= 0);
const numbers = (list: unknown): number[] => (Array.isArray(list) ? list.filter((n) => Number.isInteger(n)) : []);
const count = (value: unknown): number | undefined => (Number.isSafeInteger(value) ? Math.max(0, value as number) : undefined);
const ascending = (list: readonly number[]): number[] => list.toSorted((a, b) => a - b);
const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
