import type { ActorState, RestoreProgress, TopicWarning } from "../../../runtime/held-partitions.ts";

/**
 * What `GET /live` sends and the page shows: three JSON documents, each in a server-sent event of the name that its
 * comment begins with.
 */

/** `figures`, once a second. */
export interface LiveFigures {
  /** Milliseconds since the Unix epoch. */
  readonly at_ms: number;
  /** The status as /health/ready reports it. */
  readonly status: string;
  /** Why the service is not ready, if that is known. */
  readonly reason?: string;
  /** Since when the log cannot be used, in milliseconds since the Unix epoch. */
  readonly since_ms?: number;
  /** The topics' settings that may cost records. */
  readonly warnings?: readonly TopicWarning[];
  readonly topicName: string;
  readonly partitionCount: number;
  /** The partitions held here, in ascending order. */
  readonly partitions: readonly PartitionFigures[];
  readonly restore?: RestoreProgress;
  /** Events per second that were appended to the partitions held here; `applied_per_s` is how many were applied. */
  readonly appended_per_s: number;
  readonly applied_per_s: number;
  readonly lag: number;
  /** How many orders the partitions held here have; like `held`, undefined while a store cannot tell. */
  readonly orders?: number;
  readonly held?: number;
  readonly readable?: ReadableLatency;
  readonly deadLetters: DeadLetterCounts;
}

export interface PartitionFigures {
  readonly partition: number;
  readonly state: ActorState;
  /** The next offset to apply. */
  readonly offset: number;
  readonly end: number;
  readonly lag: number;
  readonly applied_per_s: number;
  readonly orders?: number;
  readonly held?: number;
  /** How many dead letters came from the partition. */
  readonly deadLetters: number;
  /** Why the partition does not go on: it is halted, suspended or blocked, or the log does not give it. */
  readonly reason?: string;
}

/**
 * The time from when an event was written to when it can be read, over the events that changed an order in the last
 * second.
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

/** `history`, sent once, after `about`: one row per second, the oldest first, of at most the last 15 minutes. */
export interface LiveHistory {
  readonly at_ms: readonly number[];
  readonly applied_per_s: readonly (number | null)[];
  readonly lag: readonly (number | null)[];
  readonly p50_ms: readonly (number | null)[];
  readonly p99_ms: readonly (number | null)[];
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
