import type { AppError } from "../errors.ts";
import type { Projection } from "./projection.ts";
import type { LostHead } from "./topics/lost-heads.ts";

/**
 * ```
 *             records to read            end reached
 *  created ──▶ catching-up ────────────▶ running ──▶ draining ──▶ stopped
 *                  ▲  ◀──end not known──   │  │
 *                  └──works again── suspended, blocked
 *  any of them ──▶ halted   (until the process or an operator starts it anew)
 * ```
 *
 * suspended: its store cannot be opened or written now, and is tried again. blocked: dead letters cannot be appended
 * now, and are tried again. Both go on by themselves. halted: only a person can tell what is right.
 */
export type ActorState = "created" | "catching-up" | "running" | "suspended" | "blocked" | "draining" | "stopped" | "halted";

/** What the services see of a partition's actor. */
export interface PartitionView {
  readonly partition: number;
  readonly state: ActorState;
  /** Everything before it is applied. */
  readonly nextOffset: number;
  /** The partition's end as last heard of. */
  readonly endOffset: number;
  /** Why it halted: a sentence that says what to do. */
  readonly halted: string | undefined;
  /**
   * Why it does not go on now, though it will by itself: suspended, blocked, or the log does not give the partition. A
   * sentence.
   */
  readonly hindered: string | undefined;
  /** Since when it is halted, suspended, blocked or not given by the log, on the wall clock. */
  readonly since_ms?: number | undefined;
  /**
   * Whether everything is known that the partition held when it was last heard of. True once it has caught up, and
   * then also while something hinders it; for one that cannot be read, from where its store ended before. False where
   * it halted.
   */
  readonly isComplete: boolean;
  /** What the log was heard to have seconds ago is not applied yet. */
  readonly isLagging: boolean;
  /**
   * Why what is applied may not be what the log has: its leader changed or the topic is not known, and the last record
   * applied was not compared yet. A sentence; nothing is to be answered from the view then.
   */
  readonly doubt: string | undefined;
  /**
   * Of the leader under which the last record applied was compared, or whose records were applied since; 0 where there
   * are none.
   */
  readonly leaderEpoch: number;
  /** The first offset folded: greater than 0 where the log had lost what was before, and that was accepted. */
  readonly startedAt: number;
  /** Of the rows at `nextOffset`, where a projection keeps one. */
  readonly digest: string | undefined;
  /** Queries on that projection's committed rows; undefined while the store is not open. */
  view<View>(projection: Projection<View>): View | undefined;
  /**
   * Resolves with true once everything before `offset` is applied, false after `wait_ms_max` or when the actor ends.
   */
  reached(offset: number, wait_ms_max: number): Promise<boolean>;
  /**
   * The error to answer with when a query on `view` threw `e`: STORE_FAILED, or CATCHING_UP where the store is damaged
   * and now rebuilt.
   */
  failed(e: unknown): AppError;
}

/** Where the log ends, in the words of a sentence about a partition that has not caught up. */
export const endOfLog = (nextOffset: number, endOffset: number): string =>
  endOffset > nextOffset ? `the log ends at ${endOffset}` : "where the log ends is not known yet";

/** The partitions this process holds, and how many there are in all. */
export interface HeldPartitions {
  /** 0 until the topic is known. */
  readonly partitionCount: number;
  /** In ascending order of partition. */
  held(): Iterable<PartitionView>;
  get(partition: number): PartitionView | undefined;
  /** How the group or the log stands, in one word for /health/ready: joining, stable, waiting, left. */
  readonly membership: string;
  /**
   * Why the log cannot be read, a sentence: what is held may be incomplete then, whatever its state. At once where
   * nothing was read yet, else once it has lasted.
   */
  readonly readFailure: string | undefined;
  /** Since when, on the wall clock. */
  readonly readFailingSince_ms?: number | undefined;
  /** Why dead letters could not be appended, should there be any: a sentence, where that is tried. */
  readonly deadLetterFailure?: string | undefined;
  /**
   * What stands still although the log goes on, a sentence, once that has lasted. The process is then of no use as it
   * is.
   */
  readonly standstill: string | undefined;
  /** How far those have come that read a long way up to the log's end; undefined while none does. */
  readonly restore: RestoreProgress | undefined;
  /** How the log's topics stand, where that is looked at. */
  readonly topics?: TopicsStanding | undefined;
}

export interface TopicsStanding {
  /** What about their settings may cost records. */
  readonly warnings: readonly TopicWarning[];
  /** Of each topic that was looked at, every concern that there can be. */
  readonly findings: readonly TopicFinding[];
  /**
   * Told now and then of which partitions the log has lost records that the state has, where that was not accepted.
   */
  noteLostHeads(heads: readonly LostHead[]): void;
}

export interface TopicWarning {
  readonly topic: string;
  /** Stable. */
  readonly code: string;
  /** Sentences: what is set, what follows, what to do. */
  readonly detail: string;
}

export interface TopicFinding {
  readonly topic: string;
  readonly code: string;
  readonly isFound: boolean;
}

export interface RestoreProgress {
  readonly partitions: number;
  /** Applied since it began, of all that are to be. */
  readonly records: number;
  readonly records_total: number;
  readonly records_per_s: number;
  readonly left_s: number;
}
