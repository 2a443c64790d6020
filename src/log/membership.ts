/**
 * What a member brings when it joins a consumer group. This file is the part of the `Log` port that is about groups: who
 * owns which partition now, who follows it, and where they can be asked.
 */
export interface GroupOptions {
  readonly group: string;
  readonly topic: string;
  /** Where the other members reach this one: a URL without a slash at its end. Absent if it cannot be asked. */
  readonly endpoint?: string | undefined;
  /**
   * How much is applied of the partitions of which this process has local state: the next offset, less the first one of a
   * state that began late. The assignment leaves partitions where they are, and gives those that must move to who has
   * most.
   */
  readonly localPositions: () => ReadonlyMap<number, number>;
  /**
   * The partitions for which this process could answer at once: it owns them and has caught up, or follows them and has.
   * Absent: for none, so that its partitions go to others at once.
   */
  readonly ready?: (() => readonly number[]) | undefined;
  /**
   * How many members are to follow each partition without owning it. The largest number that any member of the group
   * asks for counts. Absent: none.
   */
  readonly standbysPerPartition?: number | undefined;
  /** Names the member across restarts of its process. Absent: each start is a new member. */
  readonly instance?: GroupInstance | undefined;
  /** Whether `leave` tells the group. Absent: always; so does a member without an instance id, whatever this says. */
  readonly leaving?: Leaving | undefined;
  readonly listener: GroupListener;
}

/**
 * Whether a member that stops tells the group so, which then gives its partitions away at once.
 *
 * - `always`, `never`: as it says.
 * - `auto`: only if that costs no rebuild, because each of its partitions has a standby. Otherwise its partitions stay
 *   with it until its session ends, so that a restart finds them.
 */
export type Leaving = "auto" | "always" | "never";

/**
 * What makes a member the same one after a restart (KIP-345): an id that lives with its state. While a session lasts,
 * the group leaves the partitions to the member and takes it back without dealing anything out anew. A log whose members
 * end with their processes needs none.
 */
export interface GroupInstance {
  /** Undefined if there is none, as the state cannot be used: the member is a new one then. */
  id(): string | undefined;
  /** Another process is in the group under the same id: takes another one from now on. */
  renew(): void;
}

/** A member of a group, as the last assignment describes it to all members. */
export interface GroupMember {
  readonly id: string;
  /** Where it can be asked: a URL without a slash at its end. Undefined if it did not say. */
  readonly endpoint: string | undefined;
  /** The partitions that it owns, ascending. */
  readonly partitions: readonly number[];
  /** The partitions that it follows as a standby, without owning them, ascending. */
  readonly standbys: readonly number[];
  /** Those of the standbys for which another member stays in place until it has caught up, ascending. Absent: none. */
  readonly warmUps?: readonly number[] | undefined;
}

/** What the group dealt out. */
export interface Assignment {
  /** The partitions that this member owns, ascending. One that is not named no longer belongs to it. */
  readonly partitions: readonly number[];
  /** The partitions that this member follows as a standby, ascending. It follows no other any more. */
  readonly standbys: readonly number[];
  /**
   * Those of the standbys that this member is to own, or to follow in another one's place, as soon as it has caught up;
   * it calls `rejoin` then. Until then whoever has them now goes on. Absent: none.
   */
  readonly warmUps?: readonly number[] | undefined;
  /**
   * Whether this member was away for so long before that another one may have owned these partitions meanwhile, also
   * those that it owned before: it takes them over like a new owner. Absent: it was not.
   */
  readonly wasAway?: boolean | undefined;
  /** This member's own id. */
  readonly memberId: string;
  /**
   * All members of the group that share the topic, this one included. Empty if the group's leader is a program of an
   * earlier version, which does not tell.
   */
  readonly members: readonly GroupMember[];
}

export interface GroupListener {
  /** The whole new assignment. Called synchronously, never concurrently. */
  onAssigned(assignment: Assignment): void;
  /**
   * The member fell out of the group, or cannot get into it. It owns nothing until it is assigned partitions again.
   * Called once until then.
   */
  onLost(reason: string): void;
  /**
   * The group cannot be joined yet, because a process of an earlier version holds it alone (embedded log only). Called
   * again when what is known of that process changes.
   */
  onWaiting(holder: string): void;
}

/** How far the owner of a partition has come, as it tells the group. */
export interface CommittedOffset {
  /** Everything before it is applied, and the dead letters of that are appended. */
  readonly nextOffset: number;
  /** What the owner adds for those who follow the partition, in at most METADATA_BYTES_MAX. Absent if it adds nothing. */
  readonly metadata?: string | undefined;
}

/** As much as brokers take by default (offset.metadata.max.bytes). */
const METADATA_BYTES_MAX = 4_096;

export type MembershipState = "joining" | "stable" | "waiting" | "left";

export interface Membership {
  readonly state: MembershipState;
  /** A sentence that says why this member is not in the group, while it is not and something prevents it. */
  readonly reason?: string | undefined;
  /**
   * Whether this member may still act for its partitions. It is false from the moment a stalled process can have been
   * replaced: when the last good heartbeat is older than half the session. It is synchronous, to be asked right before
   * each transaction.
   */
  isOwner(): boolean;
  /**
   * Tells the group how far the partitions that it owns are applied, for lag tools and for those who follow. It is not
   * the truth about state: that is in the store.
   */
  commit(offsets: ReadonlyMap<number, CommittedOffset>): Promise<void>;
  /**
   * What the owners of these partitions have committed, at this time or earlier. A partition of which nothing is
   * committed is left out. Rejects with LOG_UNAVAILABLE.
   */
  committed(partitions: readonly number[]): Promise<ReadonlyMap<number, CommittedOffset>>;
  /**
   * Has the group share its partitions out anew, since this member is ready for more than it was. Partitions that stay
   * where they are go on meanwhile.
   */
  rejoin(): void;
  /**
   * Has the group give this member's partitions to members that follow them, if all are followed and `leave` may tell the
   * group. Resolves once that is dealt out, after `wait_ms_max` at the latest, or at once if there is nothing to hand over.
   * Until then it acts for them as before. Absent where leaving is as good.
   */
  handOver?(wait_ms_max: number): Promise<void>;
  /** Ends the membership. Where `leaving` says so, the group keeps the partitions for it until its session ends. */
  leave(): Promise<void>;
}

/** The offset with what the owner adds, unless that is too long. JSON leaves out what is undefined. */
export function committedWith(nextOffset: number, told: object): CommittedOffset {
  const metadata = JSON.stringify(told);
  return Buffer.byteLength(metadata) > METADATA_BYTES_MAX ? { nextOffset } : { nextOffset, metadata };
}

/** What the owner added. One of another version adds nothing, or something else; what cannot be read counts as nothing. */
export function toldWith({ metadata = "{}" }: CommittedOffset): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(metadata) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}
