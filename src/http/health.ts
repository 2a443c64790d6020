import type { ActorState, HeldPartitions, PartitionView, RestoreProgress, TopicWarning } from "../runtime/held-partitions.ts";

export interface PartitionHealth {
  readonly partition: number;
  readonly state: ActorState;
  /** The next offset to apply. */
  readonly offset: number;
  readonly end: number;
  readonly lag: number;
  /** Of the state at `offset`, where one is kept: instances at the same offset have the same. */
  readonly digest?: string;
  /** Why it halted, and what to do. */
  readonly halted?: string;
  /** Why it does not go on: halted, suspended, blocked, or the log does not give it. */
  readonly reason?: string;
  /** Since when, as ISO 8601 writes it. */
  readonly since?: string;
  /** The first offset of the state, where what the log had before was lost, and that was accepted. */
  readonly startedAt?: number;
}

export interface Readiness {
  /** ready, catching-up, halted, blocked, suspended, unreadable, standing-still, or how the membership stands: joining, waiting, left. */
  readonly status: string;
  /** Why the log cannot be read, or the first partition that does not go on. */
  readonly reason?: string;
  /** Since when, as ISO 8601 writes it. */
  readonly since?: string;
  /** What is not applied although the log has it. */
  readonly standstill?: string;
  /** Why the log did not take an event within the last minute, of a service that appends. It changes nothing of the status. */
  readonly refusal?: string;
  /** While partitions are read from far behind the log's end. */
  readonly restore?: RestoreProgress;
  /** Why dead letters could not be appended, should there be any. */
  readonly deadLetters?: string;
  /** What about the topics' settings may cost records. It changes nothing of the status. */
  readonly warnings?: readonly TopicWarning[];
  readonly partitions: readonly PartitionHealth[];
}

/**
 * Ready once the topic is known, the membership is stable, every held partition has caught up and the log can be read. Holding none is
 * ready. A partition that the log does not give now changes nothing of that, as long as it gives another one.
 */
export const readiness = (partitions: HeldPartitions, refusal?: string): Readiness => {
  const held = [...partitions.held()];
  const { restore, standstill, deadLetterFailure, readFailure, readFailingSince_ms } = partitions;
  const first = held.find(({ halted, hindered }) => halted !== undefined || hindered !== undefined);
  const reason = readFailure ?? first?.halted ?? first?.hindered;
  const since_ms = readFailure === undefined ? first?.since_ms : readFailingSince_ms;
  const warnings = partitions.topics?.warnings ?? [];
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
  };
};

const sinceOf = (wall_ms: number | undefined): { readonly since?: string } =>
  wall_ms === undefined ? {} : { since: new Date(wall_ms).toISOString() };

/** Without what to do about it, which `halted` tells. */
const reasonOf = (halted: string): string => `${halted.split(/[:.](?: |$)/, 1)[0]}.`;

const healthOf = (held: PartitionView): PartitionHealth => {
  const digest = digestOf(held);
  const { partition, state, nextOffset, endOffset, halted, since_ms, startedAt } = held;
  const reason = halted === undefined ? (held.hindered ?? held.doubt) : reasonOf(halted);
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
  };
};

/** Undefined also where it cannot be read: health is told all the same, and a damaged store rebuilt. */
const digestOf = (held: PartitionView): string | undefined => {
  try {
    return held.digest;
  } catch (e) {
    held.failed(e);
    return undefined;
  }
};

/** What a person must mend comes before what goes on by itself. */
const HINDERED_STATES = ["halted", "blocked", "suspended"] as const;

const status = (partitions: HeldPartitions, held: readonly PartitionView[]): string => {
  const hindered = HINDERED_STATES.find((state) => held.some((one) => one.state === state));
  const isMember = partitions.membership === "stable" || partitions.membership === "settling";
  if (hindered === "halted" || (hindered !== undefined && isMember)) return hindered;
  if (partitions.membership !== "stable") return partitions.membership;
  if (partitions.readFailure !== undefined) return "unreadable";
  if (partitions.standstill !== undefined) return "standing-still";
  // One that the log does not give is waited for by nobody but those who ask for what is in it.
  const isOneGoing = held.some((one) => one.state === "running" && one.hindered === undefined);
  const isReady = held.every((one) => one.state === "running" || (isOneGoing && one.hindered !== undefined));
  return isReady && partitions.partitionCount > 0 ? "ready" : "catching-up";
};
