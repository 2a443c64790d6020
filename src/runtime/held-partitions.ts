import type { AppError } from "../errors.ts";
import type { Hidden } from "./read/hidden-tail.ts";
import type { Projection } from "./projection.ts";
import type { ShownSnapshot } from "./snapshots/snapshot-schedule.ts";
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
 * A suspended actor retries its store, which cannot be opened or written now. A blocked one retries dead letters that
 * cannot be appended now. Both go on by themselves. A halted one waits for a person to decide what is right.
 */
export type ActorState = "created" | "catching-up" | "running" | "suspended" | "blocked" | "draining" | "stopped" | "halted";

/** What the services see of a partition's actor. */
export interface PartitionView {
  readonly partition: number;
  readonly state: ActorState;
  /** The next offset to apply: everything before it is applied. */
  readonly nextOffset: number;
  /** The partition's end in the log, as last heard of. */
  readonly endOffset: number;
  /** Why the partition is halted: a sentence that also says what to do. */
  readonly halted: string | undefined;
  /**
   * Why the partition does not go on now, although it will by itself: it is suspended, blocked, or the log does not
   * give it. A sentence.
   */
  readonly hindered: string | undefined;
  /** What is done before its store can be opened: a sentence, such as that it is restored. It is not hindered by that. */
  readonly preparing?: string | undefined;
  /** Since when the partition has been halted or hindered, on the wall clock. */
  readonly since_ms?: number | undefined;
  /** The transaction of another program (KIP-98) that hides the next record; undefined if none does. */
  readonly hidden?: Hidden | undefined;
  /**
   * Whether the rows have everything that the partition was last known to hold. True once the partition has caught up,
   * and still true if something hinders it after that. If the log does not give the partition from the start, what its
   * store already had counts as everything. False for a halted partition.
   */
  readonly isComplete: boolean;
  /**
   * Whether the partition was complete at some time since it was opened. Before that, its rows may be older than what
   * was answered before a crash, as the store follows behind.
   */
  readonly hasBeenComplete: boolean;
  /**
   * Whether the log's end was reached since the partition was opened or taken over. It is not where the log told no end,
   * so that what was applied before had to be taken for all.
   */
  readonly hasReachedEnd: boolean;
  /** Whether records that the log was known to have seconds ago are still not applied. */
  readonly isLagging: boolean;
  /**
   * For how long, at most, the log may have had records that are not applied. Undefined if that is not known, or if what
   * is applied may never have been what the log has. It outlives a taking over, after which the rows are in doubt for a
   * moment.
   */
  readonly age_ms?: number | undefined;
  /**
   * Why the applied records may not be what the log has: its leader changed or the topic is not known, and the last
   * record applied has not been compared yet. A sentence; while there is one, nothing may be answered from the view.
   */
  readonly doubt: string | undefined;
  /**
   * The epoch of the leader that the last record applied was compared with, or whose records were applied since then;
   * 0 if there is none.
   */
  readonly leaderEpoch: number;
  /** The first offset folded. It is greater than 0 if the log had lost earlier records and that was accepted. */
  readonly startedAt: number;
  /** The digest of the rows at `nextOffset`, if a projection keeps one. */
  readonly digest: string | undefined;
  /** The newest snapshot of the store, or that none is known; absent if none are taken. */
  readonly snapshot?: ShownSnapshot | undefined;
  /** The queries on that projection's committed rows; undefined while the store is not open. */
  view<View>(projection: Projection<View>): View | undefined;
  /**
   * Resolves with true once everything before `offset` is applied, and with false after `wait_ms_max`, when
   * `leaving` aborts, or when the actor ends.
   */
  reached(offset: number, wait_ms_max: number, leaving?: AbortSignal): Promise<boolean>;
  /**
   * Returns the error to answer with if a query on `view` threw `e`: STORE_FAILED, PARTITION_BLOCKED if another
   * program has locked the store, or CATCHING_UP if the store is damaged and is being rebuilt.
   */
  queryError(e: unknown): AppError;
}

/** Says where the log ends, for a sentence about a partition that has not caught up. */
export const endOfLog = (nextOffset: number, endOffset: number): string =>
  endOffset > nextOffset ? `the log ends at ${endOffset}` : "where the log ends is not known yet";

/** The partitions this process holds, and how many there are in all. */
export interface HeldPartitions {
  /** How many partitions the topic has; 0 until the topic is known. */
  readonly partitionCount: number;
  /** The partitions held here, in ascending order. */
  held(): Iterable<PartitionView>;
  get(partition: number): PartitionView | undefined;
  /** Has records read at once that gather while nobody waits for them; absent if none do. */
  hurry?(): void;
  /** The partitions that this process follows without owning them, in ascending order; absent if it never does. */
  standbys?(): Iterable<PartitionView>;
  /**
   * Whether this process has its partitions, in one word for /health/ready: joining, settling, stable, waiting or
   * left.
   */
  readonly membership: string;
  /**
   * Whether another process may own by now what is held here, as the group has not confirmed lately that this one does.
   * Absent: never.
   */
  readonly mayBeReplaced?: boolean | undefined;
  /**
   * Why the log cannot be read, in a sentence. While there is one, the held partitions may be incomplete, whatever
   * their state. It is set at once if nothing has been read yet, and otherwise once the failure has lasted.
   */
  readonly readFailure: string | undefined;
  /** Since when the log cannot be read, on the wall clock. */
  readonly readFailingSince_ms?: number | undefined;
  /** Why dead letters could not be appended if there were any: a sentence, if this process tries that. */
  readonly deadLetterFailure?: string | undefined;
  /**
   * What stands still although the log goes on: a sentence, set once that has lasted. The process is then of no use as
   * it is.
   */
  readonly standstill: string | undefined;
  /** The progress of the partitions that are far behind the log's end; undefined while there are none. */
  readonly restore: RestoreProgress | undefined;
  /** How the log's topics are set up and what they have lost, if this process watches them. */
  readonly topics?: TopicsStanding | undefined;
  /** Why no snapshots can be taken, while that is so: they fail, or the stores are gone from the disk. */
  readonly snapshotWarning?: TopicWarning | undefined;
  /** What is wrong between this process and the others that share the partitions. */
  readonly fleetConcerns?: readonly FleetWarning[] | undefined;
}

export interface TopicsStanding {
  /** What in the topics' settings may cost records. */
  readonly warnings: readonly TopicWarning[];
  /** Every possible concern for each topic that was checked, and whether it was found. */
  readonly findings: readonly TopicFinding[];
  /**
   * Notes the partitions whose first records the log has lost although the state has them. Called regularly.
   */
  noteLostHeads(heads: readonly LostHead[]): void;
}

export interface TopicWarning {
  readonly topic: string;
  /** A stable code. */
  readonly code: string;
  /** Sentences that say what is set, what follows from it and what to do. */
  readonly detail: string;
  /** Since when that is so, in ISO 8601, if it is known. */
  readonly since?: string;
}

/** The codes of what may be wrong between the processes that share the partitions. */
export const FLEET_CONCERNS = ["url-shared", "peer-tokens-differ"] as const;

export type FleetWarning = TopicWarning & { readonly code: (typeof FLEET_CONCERNS)[number] };

/** The code of the warning that snapshots of a topic's stores fail. */
export const SNAPSHOTS_FAIL = "snapshots-fail";

/** The code of the warning that files of open stores are gone from the disk. */
export const STORES_GONE = "stores-gone";

export interface TopicFinding {
  readonly topic: string;
  readonly code: string;
  readonly isFound: boolean;
}

export interface RestoreProgress {
  readonly partitions: number;
  /** Records applied since the restore began, of `records_total` in all. */
  readonly records: number;
  readonly records_total: number;
  readonly records_per_s: number;
  readonly left_s: number;
}
