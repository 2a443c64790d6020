import type { AppError } from "../errors.ts";

/**
 * The `Log` port: a partitioned, append-only log of records, as Kafka defines it. Three adapters keep it (kafka-log,
 * sqlite-log, memory-log) and one contract suite holds them to it.
 *
 * Offsets are JavaScript numbers; an adapter refuses an offset beyond 2^53 − 1.
 * Every call that needs the log and cannot reach it rejects with `LOG_UNAVAILABLE`, within a bound and without side effect;
 * the caller owns retrying.
 */
export interface Log {
  readonly kind: "kafka" | "sqlite" | "memory";
  /** Names the log itself (Kafka's cluster id, the embedded file's id), so that state from another log is never taken for this one's. */
  id(): Promise<string>;
  /**
   * Creates the topic if it is missing; an existing one is taken as it is. Idempotent, safe in a race. Resolves with what was
   * created, undefined where the topic was there.
   */
  createTopic(topic: string, partitions: number, options?: TopicOptions): Promise<CreatedTopic | undefined>;
  /** Grows the topic to `partitions` in all; no effect where it has as many or more (Kafka's CreatePartitions). */
  addPartitions(topic: string, partitions: number): Promise<void>;
  /** The number of partitions, 0 if the topic does not exist. Always asked afresh. */
  partitionCount(topic: string): Promise<number>;
  /** How the topic is set up now; undefined if it does not exist. */
  describe(topic: string): Promise<TopicDescription | undefined>;
  /**
   * Start and end of each partition, by partition number. The end counts every record acknowledged before the call, also
   * those that a reader cannot see yet because a transaction before them is open. Rejects where one of them cannot be told.
   */
  watermarks(topic: string): Promise<Watermarks[]>;
  /** The same, each partition for itself: one that cannot be asked says so and does not concern the others. */
  ends(topic: string): Promise<TopicEnds>;
  /**
   * The first offset of each partition whose record's timestamp is at or after `timestamp_ms`, its end where there is none
   * (Kafka's ListOffsets, KIP-79). Later records may be older: timestamps are their producers' own.
   */
  offsetsAt(topic: string, timestamp_ms: number): Promise<number[]>;
  producer(): IdempotentProducer;
  /**
   * A producer that fences: once this resolves, no record of an earlier holder of the same `fencingId` can reach the log
   * any more, and what its last append left undecided is decided (KIP-98's transactional.id).
   */
  fencedProducer(fencingId: string): Promise<Producer>;
  reader(topic: string, isolation?: Isolation): Reader;
  joinGroup(options: GroupOptions): Membership;
  /** Removes the records before `beforeOffset`; the partition then starts there (Kafka's DeleteRecords). */
  deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void>;
  close(): Promise<void>;
}

/** Whether also what lies in and behind open transactions, and in aborted ones, is read (KIP-98). Else, and by default, it is not. */
export type Isolation = "committed" | "uncommitted";

export interface TopicOptions {
  /** The largest batch the topic takes, where the log has such a bound (Kafka's max.message.bytes). */
  readonly record_bytes_max?: number | undefined;
  /** Replicas of each partition; undefined: the broker's default (KIP-464). */
  readonly replicas?: number | undefined;
  /** Whether the topic is to take records with timestamps of any age, unchanged, as a copy of another topic needs. */
  readonly anyTimestamp?: boolean | undefined;
}

/** What was created, for people. */
export interface CreatedTopic {
  readonly partitions: number;
  /** Undefined where the log keeps no replicas. */
  readonly replicas: number | undefined;
  /** As the log names them: `min.insync.replicas`, … */
  readonly settings: Readonly<Record<string, string>>;
}

export interface TopicDescription extends CreatedTopic {
  /** The topic's own id, which a topic made anew under its name does not have (KIP-516); undefined where the log has none. */
  readonly topicId: string | undefined;
  /** How many brokers the log has; undefined where it has none. */
  readonly brokers: number | undefined;
  /** Whether this user may append to it; absent where the log does not tell (KIP-430). */
  readonly mayWrite?: boolean;
}

/** One partition's ends, or why they cannot be told now: a sentence. */
export type PartitionEnds = (Watermarks & StableEnd) | { readonly unavailable: string };

export interface StableEnd {
  /** The first offset that a reader of committed records cannot see yet, because a transaction is open there; else the end (KIP-98). */
  readonly stableOffset: number;
  /** Of the leader that told it; 0 where the log has no leaders. Every change of leadership makes it greater (KIP-101). */
  readonly leaderEpoch: number;
}

export interface TopicEnds {
  readonly topicId: string | undefined;
  /** By partition number; empty if the topic does not exist. */
  readonly partitions: readonly PartitionEnds[];
}

export interface Watermarks {
  /** The first offset the partition still has. */
  readonly startOffset: number;
  /** The offset the next record will get. */
  readonly endOffset: number;
}

/**
 * Milliseconds since the Unix epoch as the record's producer gave them: any 64 bits, since some stamp in nanoseconds. A number where
 * that is exact, else a bigint.
 */
export type Timestamp = number | bigint;

/** A name that is no UTF-8 keeps its bytes, as header-names.ts has it. */
export type Header = readonly [name: string, value: Uint8Array | null];

/** One record as read from the log. Key and value are views on the batch's bytes; who keeps them longer than the batch copies them. */
export interface LogRecord {
  readonly offset: number;
  readonly timestamp_ms: Timestamp;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Of the leader that took the record; with the offset it names the record (KIP-101). 0 where the log has no leaders. */
  readonly leaderEpoch: number;
  /** Set where this stands for a batch that cannot be decoded: key and value are null, and there are no headers. */
  readonly undecodable?: UndecodableBatch | undefined;
  /** In the record's order, duplicates kept. Decoded when asked for. */
  headers(): readonly Header[];
}

/** The log's bytes for some offsets are no records: from the record's own offset to `lastOffset`. */
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
   * Appends the records, those of one partition in the order given and next to each other, and resolves with their offsets
   * (in the order of `records`) once all in-sync replicas have them. One append at a time: a second one before the first
   * has settled is a defect of the caller and throws.
   *
   * Nothing is sent, or sent again, after `deadline_ms` on the log's clock.
   *
   * Rejects with `LOG_UNAVAILABLE`: none of them is or will be in the log. `EVENT_TOO_LARGE`, `APPEND_REFUSED`: the same, and
   * the log will never take them, or not before somebody acts. `APPEND_OUTCOME_UNKNOWN`: each may or may not be, now or later.
   * `PRODUCER_FENCED` (fenced producers only): another holder took over, none of them is or will be in the log.
   */
  append(topic: string, records: readonly NewRecord[], deadline_ms?: number): Promise<number[]>;
  close(): Promise<void>;
}

/** What became of one record: where the log has it, or the error that `append` would have rejected with for it alone. */
export type SendOutcome = { readonly offset: number; readonly leaderEpoch: number } | { readonly error: AppError };

/** A producer that retries without doubling (KIP-98), and tells of each record by itself what became of it. */
export interface IdempotentProducer extends Producer {
  /**
   * Names what a partition's records travel with: those of one lane go to one leader, and one lane does not wait for another.
   * It may change with the partition's leader.
   */
  lane(topic: string, partition: number): string;
  /**
   * Sends the records, those of one partition in the order given and next to each other, and resolves with each one's fate, in
   * the order of `records`; it never rejects. A refused batch is split until only the records that are themselves refused are.
   * One call at a time for each partition; calls for other partitions may be under way.
   *
   * Nothing is sent, or sent again, after `deadline_ms` on the log's clock.
   */
  send(topic: string, records: readonly NewRecord[], deadline_ms?: number): Promise<SendOutcome[]>;
  /** The largest batch that the topic's partitions are known to take, in encoded bytes. */
  batchBytesMax(topic: string): number;
}

/** What was read of one partition: committed records only, unless all were asked for, from `baseOffset` on, without a gap but those the log itself has. */
export interface Batch {
  readonly partition: number;
  /** The offset that was asked for. */
  readonly baseOffset: number;
  /** Where to read on. Beyond the last record's offset + 1 where control records or aborted ones follow. */
  readonly nextOffset: number;
  /** The partition's end when it was read. */
  readonly endOffset: number;
  /** The same of what readers of committed records see; see `StableEnd`. */
  readonly stableOffset: number;
  /** Of the leader that it was read from; 0 where the log has no leaders. */
  readonly leaderEpoch: number;
  readonly records: readonly LogRecord[];
}

export type FetchResult =
  | { readonly partition: number; readonly batch: Batch }
  /** The offset asked for is outside [startOffset, endOffset]. */
  | { readonly partition: number; readonly outOfRange: Watermarks }
  /** The bytes at the offset asked for are no batch of which it could be told where it ends, now or later: why. */
  | { readonly partition: number; readonly unreadable: string }
  /** The partition cannot be read now, others can: it has no leader, or its leader does not answer. A sentence; told once, until it changes. */
  | { readonly partition: number; readonly unavailable: string }
  /**
   * What was read before may no longer be what the log has: the leader changed, its connection was lost, or the topic is not
   * known (`isGone`). Nothing later of the partition comes before this does. A sentence.
   */
  | { readonly partition: number; readonly interrupted: string; readonly isGone?: boolean };

export interface Reader {
  /**
   * Reads on at the given offsets (partition → offset). Resolves as soon as any of the partitions has something to tell, and
   * at the latest after `wait_ms_max`, possibly with nothing. A batch may be empty of records and still move `nextOffset`; one that does
   * not even do that may tell, after `wait_ms_max`, of an end beyond: what is before it cannot be read yet.
   * One fetch at a time. At most about `partition_bytes_max` of each partition, but always at least one record.
   */
  fetch(positions: ReadonlyMap<number, number>, limits: FetchLimits): Promise<FetchResult[]>;
  /** Whether the log makes this reader wait, by a quota (KIP-219): no progress is then no standstill. */
  readonly isThrottled: boolean;
  close(): Promise<void>;
}

export interface FetchLimits {
  readonly wait_ms_max: number;
  readonly partition_bytes_max: number;
}

export interface GroupOptions {
  readonly group: string;
  readonly topic: string;
  /** Partitions of which this process has local state; the assignment prefers to leave them where they are. */
  readonly localPartitions: () => readonly number[];
  readonly listener: GroupListener;
}

export interface GroupListener {
  /** The whole new assignment; a partition not named is no longer this member's. Called synchronously, never concurrently. */
  assigned(partitions: readonly number[]): void;
  /** The member fell out of the group, or cannot get into it: nothing is its own until it is assigned. Told once, until it is. */
  lost(reason: string): void;
  /** The group cannot be joined yet because another process holds it (embedded log only). */
  waiting(holder: string): void;
}

export type MembershipState = "joining" | "stable" | "waiting" | "left";

export interface Membership {
  readonly state: MembershipState;
  /** Why this member is not in the group, a sentence, while it is not and something stands in the way. */
  readonly reason?: string | undefined;
  /**
   * Whether this member may still act for its partitions. False from the moment a stalled process can have been replaced: the
   * last good heartbeat is older than half the session. Synchronous, to be asked right before each transaction.
   */
  isOwner(): boolean;
  /** Tells the group how far its partitions are applied (partition → next offset): a hint for lag tools, never the truth. */
  commit(offsets: ReadonlyMap<number, number>): Promise<void>;
  leave(): Promise<void>;
}
