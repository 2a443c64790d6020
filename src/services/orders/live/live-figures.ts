import type { ActorState, RestoreProgress, TopicWarning } from "../../../runtime/held-partitions.ts";

/**
 * What `GET /live` sends and the page shows: three JSON documents, each in a server-sent event of the name that its
 * comment begins with. `figures` and `history` are of the whole fleet: all order services that share the topic.
 */

/** `figures`, once a second. */
export interface LiveFigures {
  /** Milliseconds since the Unix epoch. */
  readonly at_ms: number;
  /**
   * Whether all partitions are in these figures. If not, rates and counts are those of the ones that are: at least so
   * much.
   */
  readonly isWhole: boolean;
  /** The status as /health/ready reports it, of the member that is furthest from ready; `unreachable` if one is silent. */
  readonly status: string;
  /** Why that one is not ready, or what hinders one of its partitions, if that is known. */
  readonly reason?: string;
  /** Since when that is so, in milliseconds since the Unix epoch. */
  readonly since_ms?: number;
  /** The topics' settings that may cost records, and what else a person should see to. */
  readonly warnings?: readonly TopicWarning[];
  /** The order services that share the topic, the one that was asked first. */
  readonly members: readonly ShownMember[];
  readonly topicName: string;
  readonly partitionCount: number;
  /** In ascending order. */
  readonly partitions: readonly PartitionFigures[];
  readonly restore?: RestoreProgress;
  /** Events per second that were appended to the partitions; `applied_per_s` is how many were applied. */
  readonly appended_per_s: number;
  readonly applied_per_s: number;
  readonly lag: number;
  /** How many orders the partitions have; like `held`, undefined while a store cannot tell. */
  readonly orders?: number;
  readonly held?: number;
  readonly readable?: ReadableLatency;
  readonly deadLetters: DeadLetterCounts;
}

export interface ShownMember {
  /** Where other order services reach it; absent if it does not say. */
  readonly url?: string;
  /** As its /health/ready says; `unreachable` if it has not told its figures. */
  readonly status: string;
  /** Why it is not ready, or has not told its figures. */
  readonly reason?: string;
  /** The partitions that it holds, as it says, or as the group says if it is unreachable. */
  readonly partitions: readonly number[];
  /** The partitions that it follows. */
  readonly standbys: readonly number[];
}

export interface PartitionFigures extends HeldFigures {
  /** The URL of the member that holds it; absent if that one does not say. */
  readonly owner?: string;
  readonly standbys?: readonly (Omit<StandbyFigures, "partition"> & { readonly url?: string })[];
  /** How many dead letters came from the partition. */
  readonly deadLetters: number;
}

/** What one member tells another of itself. */
export interface MemberFigures {
  readonly status: string;
  readonly reason?: string;
  readonly since_ms?: number;
  readonly warnings?: readonly TopicWarning[];
  readonly partitionCount: number;
  readonly partitions: readonly HeldFigures[];
  readonly standbys: readonly StandbyFigures[];
  readonly restore?: RestoreProgress;
  readonly appended_per_s: number;
  readonly applied_per_s: number;
  readonly readable?: ReadableLatency;
}

export interface HeldFigures {
  readonly partition: number;
  readonly state: ActorState;
  /** The next offset to apply. */
  readonly offset: number;
  readonly end: number;
  readonly lag: number;
  readonly applied_per_s: number;
  readonly orders?: number;
  readonly held?: number;
  /** Why the partition does not go on: it is halted, suspended or blocked, or the log does not give it. */
  readonly reason?: string;
  /** The newest snapshot of its store, if snapshots are taken and one is known. */
  readonly snapshot?: { readonly offset: number; readonly age_s: number };
}

export interface StandbyFigures {
  readonly partition: number;
  readonly lag: number;
  /** Whether it could take the partition over at once. */
  readonly isReady: boolean;
}

/**
 * The time from when an event was written to when it can be read, over the events that changed an order in the last
 * second. Of several members it is that of the slowest: no fewer than half, or 99 %, were readable that soon.
 */
export interface ReadableLatency {
  readonly p50_ms: number;
  readonly p99_ms: number;
}

export interface DeadLetterCounts {
  /** How many letters the whole dead-letter topic has. */
  readonly letters: number;
  readonly byReason: Readonly<Record<string, number>>;
  /** Whether the whole topic has been counted. */
  readonly isComplete: boolean;
}

/**
 * `history`, sent once, after `about`: one row per second, the oldest first, of at most the last 15 minutes. A second of
 * which not all partitions' figures are known has none.
 */
export interface LiveHistory {
  readonly at_ms: readonly number[];
  readonly applied_per_s: readonly (number | null)[];
  readonly lag: readonly (number | null)[];
  readonly p50_ms: readonly (number | null)[];
  readonly p99_ms: readonly (number | null)[];
}

/** The history of one member's own partitions. */
export interface MemberHistory extends LiveHistory {
  /** When it was told, by the clock that `at_ms` goes by. */
  readonly told_ms: number;
  /** How many partitions the member held in that second, of so many in all. */
  readonly partitions: readonly number[];
  readonly partitionCount: readonly number[];
}

/** `about`, sent once, at the beginning. */
export interface LiveAbout {
  /** The log's name, for people. */
  readonly log: string;
  readonly topicName: string;
  readonly deadLetterTopic: string;
  /**
   * Whether a cart runs in the same process, so that the page can try it through /try. If not, `cartPort` is where one
   * listens according to the settings.
   */
  readonly isCartHere: boolean;
  readonly cartPort: number;
}
