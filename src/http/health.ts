import type { ActorState, HeldPartitions, PartitionView, RestoreProgress, TopicWarning } from "../runtime/held-partitions.ts";

export interface PartitionHealth {
  readonly partition: number;
  readonly state: ActorState;
  /** The next offset to apply. */
  readonly offset: number;
  readonly end: number;
  readonly lag: number;
  /** The digest of the state at `offset`, if one is kept: instances at the same offset have the same digest. */
  readonly digest?: string;
  /** Why the partition is halted, and what to do. */
  readonly halted?: string;
  /** Why the partition does not go on: it is halted, suspended, blocked, or the log does not give it. */
  readonly reason?: string;
  /** Since when that is so, in ISO 8601. */
  readonly since?: string;
  /** The first offset of the state, if the log had lost earlier records and that was accepted. */
  readonly startedAt?: number;
  /** The newest snapshot of its store, if snapshots are taken and one is known. */
  readonly snapshot?: { readonly offset: number; readonly taken: string; readonly age_s: number };
}

export interface Readiness {
  /**
   * ready, catching-up, halted, blocked, suspended, unreadable, standing-still, or the membership's state: joining,
   * settling, waiting, left.
   */
  readonly status: string;
  /** Why the log cannot be read, or the first partition that does not go on. */
  readonly reason?: string;
  /** Since when that is so, in ISO 8601. */
  readonly since?: string;
  /** What is not applied although the log has it. */
  readonly standstill?: string;
  /**
   * Why the log did not take an event within the last minute, if the service appends. It does not change the status.
   */
  readonly refusal?: string;
  /** The progress of partitions that are far behind the log's end. */
  readonly restore?: RestoreProgress;
  /** Why dead letters could not be appended if there were any. */
  readonly deadLetters?: string;
  /** What in the topics' settings may cost records, that snapshots fail, what is wrong between order services. It does not change the status. */
  readonly warnings?: readonly TopicWarning[];
  readonly partitions: readonly PartitionHealth[];
  /** The partitions that are followed here without being owned. They do not change the status. */
  readonly standbys?: readonly PartitionHealth[];
}

/**
 * A service is ready once the topic is known, the membership is stable, every held partition has caught up and the log
 * can be read. It may be ready without holding a partition. A partition that the log does not give now does not count,
 * as long as the log gives another one.
 */
export const readiness = (partitions: HeldPartitions, refusal?: string): Readiness => {
  const held = [...partitions.held()];
  const standbys = [...(partitions.standbys?.() ?? [])];
  const { restore, standstill, deadLetterFailure } = partitions;
  const { reason, since_ms } = obstacle(partitions);
  const warnings = [partitions.topics?.warnings ?? [], partitions.snapshotWarning ?? [], partitions.fleetConcerns ?? []].flat();
  return {
    status: status(partitions, held),
    ...(reason === undefined ? {} : { reason }),
    ...sinceOf(since_ms),
    ...(standstill === undefined ? {} : { standstill }),
    ...(refusal === undefined ? {} : { refusal }),
    ...(restore === undefined ? {} : { restore }),
    ...(deadLetterFailure === undefined ? {} : { deadLetters: deadLetterFailure }),
    ...(warnings.length === 0 ? {} : { warnings }),
    partitions: held.map(healthOf),
    ...(standbys.length === 0 ? {} : { standbys: standbys.map(healthOf) }),
  };
};

/** What a person must mend comes before what goes on by itself. */
const HINDERED_STATES = ["halted", "blocked", "suspended"] as const;

/** Why the log cannot be read, or what the gravest is that keeps a partition from going on; and since when, on the wall clock. */
export const obstacle = (partitions: HeldPartitions): { readonly reason?: string; readonly since_ms?: number } => {
  const { readFailure, readFailingSince_ms } = partitions;
  const held = [...partitions.held()];
  const stay = held.filter(({ halted, hindered }) => halted !== undefined || hindered !== undefined);
  const gravest = HINDERED_STATES.map((state) => stay.find((one) => one.state === state)).find(Boolean);
  const followed = [...(partitions.standbys?.() ?? [])].find(({ halted }) => halted !== undefined);
  const first = gravest ?? stay[0] ?? held.find(({ preparing }) => preparing !== undefined) ?? followed;
  const ofFirst = first?.halted ?? first?.hindered ?? first?.preparing;
  const which = `Partition ${first?.partition}${first === followed ? ", which is followed here" : ""}`;
  const reason = readFailure ?? (ofFirst && `${which}: ${ofFirst}`);
  const since_ms = readFailure === undefined ? first?.since_ms : readFailingSince_ms;
  return { ...(reason === undefined ? {} : { reason }), ...(since_ms === undefined ? {} : { since_ms }) };
};

const sinceOf = (wall_ms: number | undefined): { readonly since?: string } =>
  wall_ms === undefined ? {} : { since: new Date(wall_ms).toISOString() };

/** Leaves out what to do about it, which `halted` tells. */
const reasonOf = (halted: string): string => `${halted.split(/[:.](?: |$)/, 1)[0]}.`;

const healthOf = (held: PartitionView): PartitionHealth => {
  const digest = digestOf(held);
  const { partition, state, nextOffset, endOffset, halted, since_ms, startedAt, snapshot } = held;
  const reason = halted === undefined ? (held.hindered ?? held.preparing ?? held.doubt) : reasonOf(halted);
  return {
    partition,
    state,
    offset: nextOffset,
    end: endOffset,
    lag: Math.max(0, endOffset - nextOffset),
    ...(digest === undefined ? {} : { digest }),
    ...(halted === undefined ? {} : { halted }),
    ...(reason === undefined ? {} : { reason, ...sinceOf(since_ms) }),
    ...(startedAt > 0 ? { startedAt } : {}),
    ...(snapshot?.taken_ms === undefined ? {} : { snapshot: shownSnapshot(snapshot, snapshot.taken_ms) }),
  };
};

const shownSnapshot = ({ offset, age_ms }: NonNullable<PartitionView["snapshot"]>, taken_ms: number) => ({
  offset,
  taken: new Date(taken_ms).toISOString(),
  age_s: Math.floor(age_ms / 1_000),
});

/** Undefined also if the digest cannot be read: health is told all the same, and a damaged store is rebuilt. */
const digestOf = (held: PartitionView): string | undefined => {
  try {
    return held.digest;
  } catch (e) {
    held.queryError(e);
    return undefined;
  }
};

const status = (partitions: HeldPartitions, held: readonly PartitionView[]): string => {
  const hindered = HINDERED_STATES.find((state) => held.some((one) => one.state === state));
  const isMember = partitions.membership === "stable" || partitions.membership === "settling";
  if (hindered === "halted" || (hindered !== undefined && isMember)) return hindered;
  if (partitions.membership !== "stable") return partitions.membership;
  if (partitions.readFailure !== undefined) return "unreadable";
  if (partitions.standstill !== undefined) return "standing-still";
  // A partition that the log does not give holds up only those who ask for what is in it.
  const isOneGoing = held.some((one) => one.state === "running" && one.hindered === undefined);
  const isReady = held.every((one) => one.state === "running" || (isOneGoing && one.hindered !== undefined));
  return isReady && partitions.partitionCount > 0 ? "ready" : "catching-up";
};
