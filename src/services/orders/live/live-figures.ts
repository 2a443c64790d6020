import type { ActorState, RestoreProgress, TopicWarning } from "../../../runtime/held-partitions.ts";

/** What `GET /live` sends, and the page shows. Each is one JSON document in one server-sent event of the name in its comment. */

/** `figures`, once a second. */
export interface LiveFigures {
  /** Since the Unix epoch. */
  readonly at_ms: number;
  /** As /health/ready says it. */
  readonly status: string;
  /** Why not ready, where that is known. */
  readonly reason?: string;
  /** Since when the log cannot be used, since the Unix epoch. */
  readonly since_ms?: number;
  /** What about the topics' settings may cost records. */
  readonly warnings?: readonly TopicWarning[];
  readonly topicName: string;
  readonly partitionCount: number;
  /** Those held here, ascending. */
  readonly partitions: readonly PartitionFigures[];
  readonly restore?: RestoreProgress;
  /** Events that came into the partitions held here, and that were applied, a second. */
  readonly appended_per_s: number;
  readonly applied_per_s: number;
  readonly lag: number;
  /** Undefined while a store cannot tell. */
  readonly orders?: number;
  readonly held?: number;
  readonly readable?: ReadableLatency;
  readonly deadLetters: DeadLetterCounts;
}

export interface PartitionFigures {
  readonly partition: number;
  readonly state: ActorState;
  /** The next to be applied. */
  readonly offset: number;
  readonly end: number;
  readonly lag: number;
  readonly applied_per_s: number;
  readonly orders?: number;
  readonly held?: number;
  /** Letters that came from it. */
  readonly deadLetters: number;
  /** Why it does not go on: halted, suspended, blocked, or the log does not give it. */
  readonly reason?: string;
}

/** From when an event was written to when it can be read, of those that changed an order in the last second. */
export interface ReadableLatency {
  readonly p50_ms: number;
  readonly p99_ms: number;
}

export interface DeadLetterCounts {
  /** In the whole dead-letter topic. */
  readonly letters: number;
  readonly byReason: Readonly<Record<string, number>>;
  /** All of the topic was counted. */
  readonly isComplete: boolean;
}

/** `history`, once, at the beginning: a row a second, the oldest first, of at most the last 15 minutes. */
export interface LiveHistory {
  readonly at_ms: readonly number[];
  readonly applied_per_s: readonly (number | null)[];
  readonly lag: readonly (number | null)[];
  readonly p50_ms: readonly (number | null)[];
  readonly p99_ms: readonly (number | null)[];
}

/** `about`, once, before that. */
export interface LiveAbout {
  /** Which log it is, for people. */
  readonly log: string;
  readonly topicName: string;
  readonly deadLetterTopic: string;
  /** The cart runs in the same process, so the page can try it through /try. Else `cartPort` is where one listens by its settings. */
  readonly isCartHere: boolean;
  readonly cartPort: number;
}
