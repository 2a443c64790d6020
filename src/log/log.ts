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
  /** Creates the topic if it is missing; an existing one is taken as it is. Idempotent, safe in a race. */
  createTopic(topic: string, partitions: number, limits?: TopicLimits): Promise<void>;
  /** Grows the topic to `partitions` in all; no effect where it has as many or more (Kafka's CreatePartitions). */
  addPartitions(topic: string, partitions: number): Promise<void>;
  /** The number of partitions, 0 if the topic does not exist. Always asked afresh. */
  partitionCount(topic: string): Promise<number>;
  /**
   * Start and end of each partition, by partition number. The end counts every record acknowledged before the call, also
   * those that a reader cannot see yet because a transaction before them is open.
   */
  watermarks(topic: string): Promise<Watermarks[]>;
  /**
   * The first offset of each partition whose record's timestamp is at or after `timestamp_ms`, its end where there is none
   * (Kafka's ListOffsets, KIP-79). Later records may be older: timestamps are their producers' own.
   */
  offsetsAt(topic: string, timestamp_ms: number): Promise<number[]>;
  producer(): Producer;
  /**
   * A producer that fences: once this resolves, no record of an earlier holder of the same `fencingId` can reach the log
   * any more, and what its last append left undecided is decided (KIP-98's transactional.id).
   */
  fencedProducer(fencingId: string): Promise<Producer>;
  reader(topic: string): Reader;
  joinGroup(options: GroupOptions): Membership;
  /** Removes the records before `beforeOffset`; the partition then starts there (Kafka's DeleteRecords). */
  deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void>;
  close(): Promise<void>;
}

export interface TopicLimits {
  /** The largest record the topic takes, where the log has such a bound (Kafka's max.message.bytes). */
  readonly record_bytes_max?: number;
}

export interface Watermarks {
  /** The first offset the partition still has. */
  readonly startOffset: number;
  /** The offset the next record will get. */
  readonly endOffset: number;
}

export type Header = readonly [name: string, value: Uint8Array | null];

/** One record as read from the log. Key and value are views on the batch's bytes; who keeps them longer than the batch copies them. */
export interface LogRecord {
  readonly offset: number;
  readonly timestamp_ms: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** In the record's order, duplicates kept. Decoded when asked for. */
  headers(): readonly Header[];
}

/** A header to write; a string is written as UTF-8. */
export type NewHeader = readonly [name: string, value: string | Uint8Array | null];

export interface NewRecord {
  readonly partition: number;
  readonly key: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
  readonly headers: readonly NewHeader[];
  readonly timestamp_ms: number;
}

export interface Producer {
  /**
   * Appends the records, those of one partition in the order given and next to each other, and resolves with their offsets
   * (in the order of `records`) once all in-sync replicas have them. One append at a time: a second one before the first
   * has settled is a defect of the caller and throws.
   *
   * Nothing is sent, or sent again, after `deadline_ms` on the log's clock.
   *
   * Rejects with `LOG_UNAVAILABLE`: none of them is or will be in the log. `APPEND_OUTCOME_UNKNOWN`: each may or may not be,
   * now or later. `PRODUCER_FENCED` (fenced producers only): another holder took over, none of them is or will be in the log.
   */
  append(topic: string, records: readonly NewRecord[], deadline_ms?: number): Promise<number[]>;
  close(): Promise<void>;
}

/** What was read of one partition: committed records only, from `baseOffset` on, without a gap but those the log itself has. */
export interface Batch {
  readonly partition: number;
  /** The offset that was asked for. */
  readonly baseOffset: number;
  /** Where to read on. Beyond the last record's offset + 1 where control records or aborted ones follow. */
  readonly nextOffset: number;
  /** The partition's end when it was read. */
  readonly endOffset: number;
  readonly records: readonly LogRecord[];
}

export type FetchResult =
  | { readonly partition: number; readonly batch: Batch }
  /** The offset asked for is outside [startOffset, endOffset]. */
  | { readonly partition: number; readonly outOfRange: Watermarks }
  /** The bytes at the offset asked for cannot be decoded, now or later: why. */
  | { readonly partition: number; readonly unreadable: string };

export interface Reader {
  /**
   * Reads on at the given offsets (partition → offset). Resolves as soon as any of the partitions has something to tell, and
   * at the latest after `wait_ms_max`, possibly with nothing. A batch may be empty of records and still move `nextOffset`.
   * One fetch at a time. At most about `partition_bytes_max` of each partition, but always at least one record.
   */
  fetch(positions: ReadonlyMap<number, number>, limits: FetchLimits): Promise<FetchResult[]>;
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
  /**
   * Whether this member may still act for its partitions. False from the moment a stalled process can have been replaced: the
   * last good heartbeat is older than half the session. Synchronous, to be asked right before each transaction.
   */
  isOwner(): boolean;
  /** Tells the group how far its partitions are applied (partition → next offset): a hint for lag tools, never the truth. */
  commit(offsets: ReadonlyMap<number, number>): Promise<void>;
  leave(): Promise<void>;
}
