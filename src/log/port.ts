import type { AppError } from "../errors.ts";
import type { GroupOptions, Membership } from "./membership.ts";
import type { RecordBlock } from "./record-block.ts";

/**
 * The `Log` port: a partitioned, append-only log of records, as Kafka defines it. Three adapters implement it
 * (kafka-log, sqlite-log, memory-log), and one contract suite holds them to it.
 *
 * Offsets are JavaScript numbers; an adapter refuses an offset beyond 2^53 − 1. Every call that needs the log and
 * cannot reach it rejects with `LOG_UNAVAILABLE`, within a bound and without side effects. Retrying is the caller's
 * business.
 */
export interface Log {
  /**
   * The log's own id (Kafka's cluster id, the embedded file's id), which keeps the state of another log from being
   * taken for this one's.
   */
  id(): Promise<string>;
  /**
   * Creates the topic if it is missing; an existing topic is left as it is. Idempotent, and safe if several callers
   * race. Resolves with what was created, or undefined if the topic existed.
   */
  createTopic(topic: string, partitions: number, options?: TopicOptions): Promise<CreatedTopic | undefined>;
  /** Grows the topic to `partitions` in all. Has no effect if it has that many or more (Kafka's CreatePartitions). */
  addPartitions(topic: string, partitions: number): Promise<void>;
  /** The number of partitions, 0 if the topic does not exist. It is never cached. */
  partitionCount(topic: string): Promise<number>;
  /** How the topic is set up now; undefined if it does not exist. */
  describe(topic: string): Promise<TopicDescription | undefined>;
  /**
   * Start and end of each partition, by partition number. The end counts every record acknowledged before the call,
   * including those that a reader cannot see yet because an earlier transaction is open. Rejects if any start or end
   * is unavailable.
   */
  watermarks(topic: string): Promise<Watermarks[]>;
  /** Start and end of each partition, told separately: one that cannot be asked says so and does not affect the others. */
  ends(topic: string): Promise<TopicEnds>;
  /**
   * How far a reader gets in the `wanted` partitions, or in all, told separately; others may be told as unavailable. It
   * costs one question to each of their leaders, and one to any broker about who they are. It resolves once that one is
   * answered.
   */
  endOffsets(topic: string, wanted: ReadonlySet<number> | undefined, isolation: Isolation): Promise<EndOffsets>;
  /**
   * For each partition, the first offset whose record has a timestamp of at least `timestamp_ms`, or the partition's
   * end if there is none (Kafka's ListOffsets, KIP-79). Later records may be older: each producer sets its own
   * timestamps.
   */
  offsetsAt(topic: string, timestamp_ms: number): Promise<number[]>;
  producer(): IdempotentProducer;
  /**
   * A producer that fences: once this resolves, no record of an earlier holder of the same `fencingId` can reach the
   * log any more, and whatever that holder's last append left undecided is decided (KIP-98's transactional.id).
   */
  fencedProducer(fencingId: string): Promise<Producer>;
  reader(topic: string, isolation?: Isolation): Reader;
  joinGroup(options: GroupOptions): Membership;
  /** Removes the records before `beforeOffset`; the partition then starts there (Kafka's DeleteRecords). */
  deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * With "uncommitted", records in and behind open transactions, and those of aborted ones, are read too (KIP-98). The
 * default is "committed".
 */
export type Isolation = "committed" | "uncommitted";

export interface TopicOptions {
  /** The largest batch the topic takes, if the log has such a bound (Kafka's max.message.bytes). */
  readonly record_bytes_max?: number | undefined;
  /** The replicas of each partition; undefined for the broker's default (KIP-464). */
  readonly replicas?: number | undefined;
  /** Whether the topic must take records with timestamps of any age, unchanged. A copy of another topic needs that. */
  readonly anyTimestamp?: boolean | undefined;
}

/** What was created, for people. */
export interface CreatedTopic {
  readonly partitions: number;
  /** Undefined if the log has no replicas. */
  readonly replicas: number | undefined;
  /**
   * The settings under the log's own names. The runtime and the tools know those of Kafka and Redpanda, so a log that
   * has the like reports it under that name: `cleanup.policy`, `retention.ms`, `retention.bytes`, `max.message.bytes`,
   * `message.timestamp.type`, `message.timestamp.{before,after,difference}.max.ms`, `min.insync.replicas`,
   * `unclean.leader.election.enable` and `write.caching`. One that is not reported does not exist there.
   */
  readonly settings: Readonly<Record<string, string>>;
}

export interface TopicDescription extends CreatedTopic {
  /**
   * The topic's own id; a topic made anew under the same name has another one (KIP-516). Undefined if the log has
   * none.
   */
  readonly topicId: string | undefined;
  /** The number of brokers; undefined if the log has none. With brokers but no settings, these count as unreadable. */
  readonly brokers: number | undefined;
  /** Whether this user may append to the topic; absent if the log does not tell (KIP-430). */
  readonly mayWrite?: boolean;
}

/** One partition's start and end, or a sentence that says why they are unavailable now. */
export type PartitionEnds = (Watermarks & StableEnd) | { readonly unavailable: string };

export interface StableEnd {
  /**
   * The first offset that a reader of committed records cannot see yet because a transaction is open there; without
   * one, the partition's end (KIP-98).
   */
  readonly stableOffset: number;
  /**
   * The epoch of the leader that gave the answer; 0 if the log has no leaders. It grows with every change of leader
   * (KIP-101).
   */
  readonly leaderEpoch: number;
}

export interface TopicEnds {
  readonly topicId: string | undefined;
  /** By partition number; empty if the topic does not exist. */
  readonly partitions: readonly PartitionEnds[];
}

/** The end of one partition for readers of one isolation, or a sentence that says why it is unavailable now. */
export type EndOffset = { readonly endOffset: number; readonly leaderEpoch: number } | { readonly unavailable: string };

export interface EndOffsets {
  readonly topicId: string | undefined;
  /** By partition number, each as its leader tells it; none rejects. Empty if the topic does not exist. */
  readonly partitions: readonly Promise<EndOffset>[];
}

export interface Watermarks {
  /** The first offset the partition still has. */
  readonly startOffset: number;
  /** The offset the next record will get. */
  readonly endOffset: number;
}

/**
 * Milliseconds since the Unix epoch, as the record's producer gave them. Any 64 bits may occur, since some producers
 * stamp in nanoseconds: a number if that is exact, else a bigint.
 */
export type Timestamp = number | bigint;

/** A name that is not UTF-8 keeps its bytes, as header-names.ts describes. */
export type Header = readonly [name: string, value: Uint8Array | null];

/**
 * One record as read from the log. Key and value are views on the batch's bytes; whoever keeps them longer than the
 * batch must copy them.
 */
export interface LogRecord {
  readonly offset: number;
  readonly timestamp_ms: Timestamp;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /**
   * The epoch of the leader that took the record; together with the offset it identifies the record (KIP-101). 0 if
   * the log has no leaders.
   */
  readonly leaderEpoch: number;
  /**
   * Present if this stands for a batch that cannot be decoded. Key and value are then null, and there are no headers.
   */
  readonly undecodable?: UndecodableBatch | undefined;
  /** In the record's order, including duplicates. They are decoded when this is called. */
  headers(): readonly Header[];
}

/**
 * Some offsets whose bytes in the log are not records: from the offset of the record that carries this to
 * `lastOffset`.
 */
export interface UndecodableBatch {
  readonly lastOffset: number;
  /** A sentence that depends on the bytes alone. */
  readonly reason: string;
}

/** A header to write; a string is written as UTF-8. */
export type NewHeader = readonly [name: string, value: string | Uint8Array | null];

export interface NewRecord {
  readonly partition: number;
  readonly key: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
  readonly headers: readonly NewHeader[];
  readonly timestamp_ms: Timestamp;
}

export interface Producer {
  /**
   * Appends the records and resolves with their offsets, in the order of `records`, once all in-sync replicas have
   * them. Records of the same partition are appended in the order given and next to each other. There may be only one
   * append at a time: a second call before the first has settled is the caller's defect and throws.
   *
   * Nothing is sent, or sent again, after `deadline_ms` on the log's clock.
   *
   * Rejects with:
   *
   * - `LOG_UNAVAILABLE`: none of the records is in the log, and none will be.
   * - `EVENT_TOO_LARGE`, `APPEND_REFUSED`: likewise, and the log will never take them, or not until somebody acts.
   * - `APPEND_OUTCOME_UNKNOWN`: each record may or may not be in the log, now or later.
   * - `PRODUCER_FENCED` (fenced producers only): another holder took over. None of the records is or will be in the
   *   log.
   */
  append(topic: string, records: readonly NewRecord[], deadline_ms?: number): Promise<number[]>;
  close(): Promise<void>;
}

/**
 * What became of one record: where the log has it, or the error with which `append` would have rejected for it alone.
 */
export type SendOutcome = { readonly offset: number; readonly leaderEpoch: number } | { readonly error: AppError };

/** A producer whose retries append nothing twice (KIP-98), and which tells what became of each record by itself. */
export interface IdempotentProducer extends Producer {
  /**
   * Names the lane of a partition's records. All records of a lane go to one leader, and lanes do not wait for each
   * other. The lane may change with the partition's leader.
   */
  lane(topic: string, partition: number): string;
  /**
   * Sends the records and resolves with the fate of each, in the order of `records`; it never rejects. Records of the
   * same partition are appended in the order given and next to each other. A refused batch is split until only those
   * records are refused that cause the refusal. There may be one call at a time for each partition; calls for other
   * partitions may be under way.
   *
   * Nothing is sent, or sent again, after `deadline_ms` on the log's clock.
   */
  send(topic: string, records: readonly NewRecord[], deadline_ms?: number): Promise<SendOutcome[]>;
  /** The largest batch that the topic's partitions are known to take, in encoded bytes. */
  batchBytesMax(topic: string): number;
}

/**
 * What was read of one partition from `baseOffset` on: committed records only, unless the reader asked for all. It has
 * no gaps but those that the log itself has.
 */
export interface Batch {
  readonly partition: number;
  /** The offset that was asked for. */
  readonly baseOffset: number;
  /**
   * The offset to read on from. It lies beyond the last record's offset + 1 if control records or aborted records
   * follow.
   */
  readonly nextOffset: number;
  /** The partition's end when it was read. */
  readonly endOffset: number;
  /**
   * When it was asked for, on the process's clock: a process that stood still finds answers that are older than they
   * look. Absent if it was read in this moment.
   */
  readonly asked_ms?: number | undefined;
  /** The end for readers of committed records; see `StableEnd`. */
  readonly stableOffset: number;
  /** The epoch of the leader that the batch was read from; 0 if the log has no leaders. */
  readonly leaderEpoch: number;
  /** Where there are blocks, the objects are made when this is first asked for; see batch-records.ts. */
  readonly records: readonly LogRecord[];
  /** The same records as places in bytes; absent if the log does not read in that way. */
  readonly blocks?: readonly RecordBlock[] | undefined;
  /** Says that nobody reads the batch's bytes any more: they may be written over. Not everybody needs to say so. */
  release?(): void;
}

export type FetchResult =
  | { readonly partition: number; readonly batch: Batch }
  /** The offset asked for is outside [startOffset, endOffset]. */
  | { readonly partition: number; readonly outOfRange: Watermarks }
  /** The bytes at the offset asked for are no batch whose end can be told, now or later. The text says why. */
  | { readonly partition: number; readonly unreadable: string }
  /**
   * This partition cannot be read now, though others can: it has no leader, or its leader does not answer. The text is
   * a sentence. It is told once, until it changes.
   */
  | { readonly partition: number; readonly unavailable: string }
  /**
   * What was read before may no longer be what the log has: the leader changed, its connection was lost, or the topic
   * is not known (`isGone`). Nothing later of the partition is given before this. The text is a sentence.
   */
  | { readonly partition: number; readonly interrupted: string; readonly isGone?: boolean };

export interface Reader {
  /**
   * Reads from the given offsets (partition → offset). Resolves as soon as any of the partitions has something to
   * tell, and after `wait_ms_max` at the latest, possibly with nothing. There may be one fetch at a time. It gives at
   * most about `partition_bytes_max` of each partition, but always at least one record.
   *
   * A batch may have no records and still move `nextOffset`. If it does not move it either, which happens only after
   * `wait_ms_max`, its `endOffset` may lie further on: what comes before that end cannot be read yet.
   */
  fetch(positions: ReadonlyMap<number, number>, limits: FetchLimits): Promise<FetchResult[]>;
  /** Whether the log makes this reader wait by a quota (KIP-219). No progress does not mean a standstill then. */
  readonly isThrottled: boolean;
  close(): Promise<void>;
}

export interface FetchLimits {
  readonly wait_ms_max: number;
  readonly partition_bytes_max: number;
  /**
   * The partitions whose records are wanted now; all, where it is left out. Records of others may be given all the same,
   * and what else there is to tell of them is.
   */
  readonly only?: ReadonlySet<number>;
}
