import type { Clock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import type { NewUuid } from "../../../src/system/random.ts";
import type { FetchResult, Header, Isolation, LogRecord, NewRecord, TopicOptions, Watermarks } from "../../../src/log/port.ts";
import { invalidTimestamp, isTimestamp, timestampOf } from "../../../src/log/timestamp.ts";

/** Stands for a transaction's marker or a record of an aborted one: an offset that no reader gets. */
const CONTROL = null;

/** The number of brokers that the log pretends to have; each leads some of the partitions. */
export const BROKERS = 3;
/** Kafka's default of max.message.bytes. */
const RECORD_BYTES_MAX = 1_048_588;
/** Kafka's default of message.timestamp.after.max.ms. */
const AHEAD_MS_MAX = 3_600_000;
/** The bytes that a batch and a record in it take besides their content, about as in Kafka. */
const BATCH_HEAD_BYTES = 61;
const RECORD_HEAD_BYTES = 16;

export interface MemoryTopic {
  readonly topicId: string;
  readonly partitions: MemoryPartition[];
  /** The largest batch that the topic takes. */
  record_bytes_max: number;
  readonly anyTimestamp: boolean;
}

export interface MemoryPartition {
  leaderEpoch: number;
  /** Increases with everything that breaks the connections to the partition's leader. */
  term: number;
  /** The offsets at which transactions are open. */
  readonly openAt: Set<number>;
  startOffset: number;
  /**
   * What lies before this offset is deleted for everybody who uses the log. The entries stay for whoever looks on, such
   * as a simulation.
   */
  hiddenBefore: number;
  /** The entry at index i has the offset `startOffset + i`. */
  entries: (LogRecord | typeof CONTROL)[];
}

/** The fence that a producer was given; a later holder of the same fencing id has a higher epoch. */
export interface Fence {
  readonly fencingId: string;
  readonly epoch: number;
}

interface ReadOptions {
  readonly bytes_max: number;
  /** The number of last records that are held but not shown. */
  readonly lag_records: number;
  readonly isolation: Isolation;
}

/** Another program's transaction: until it ends, readers see neither its records nor what follows them (KIP-98). */
export interface OpenTransaction {
  end(commit: boolean): void;
}

/** What the in-memory broker stores: topics, and the epochs of its fenced producers. Every method is one step. */
export class MemoryTopics {
  readonly #topics = new Map<string, MemoryTopic>();
  readonly #epochs = new Map<string, number>();
  #arrived = new AbortController();
  constructor(
    readonly clock: Clock,
    readonly newUuid: NewUuid,
  ) {}

  find(topic: string): MemoryTopic | undefined {
    return this.#topics.get(topic);
  }

  topic(topic: string): readonly MemoryPartition[] {
    return this.#topics.get(topic)?.partitions ?? [];
  }

  partition(topic: string, partition: number): MemoryPartition {
    const found = this.topic(topic)[partition];
    if (found !== undefined) return found;
    throw new AppError("LOG_UNAVAILABLE", `The topic ${topic} has no partition ${partition}: create it first.`);
  }

  /** Creates the topic if it is missing, and adds partitions if it has fewer. */
  growTo(topic: string, count: number, options: TopicOptions = {}): MemoryTopic {
    const { record_bytes_max = RECORD_BYTES_MAX, anyTimestamp = false } = options;
    const found = this.#topics.get(topic) ?? { topicId: this.newUuid(), partitions: [], record_bytes_max, anyTimestamp };
    while (found.partitions.length < count) found.partitions.push(newPartition());
    this.#topics.set(topic, found);
    return found;
  }

  batchBytesMax(topic: string): number {
    return this.#topics.get(topic)?.record_bytes_max ?? RECORD_BYTES_MAX;
  }

  /** Why the topic never takes these records of one partition as one batch; undefined if it takes them. */
  refusal(topic: string, records: readonly NewRecord[]): AppError | undefined {
    const { record_bytes_max, anyTimestamp } = this.#topics.get(topic)!;
    const bytes = records.reduce((sum, record) => sum + bytesOf(record), BATCH_HEAD_BYTES);
    if (bytes > record_bytes_max) {
      const message = `The topic ${topic} takes no batch beyond ${record_bytes_max} bytes; this one has ${bytes} and was not appended.`;
      return new AppError("EVENT_TOO_LARGE", message);
    }
    for (const { timestamp_ms } of records) if (!isTimestamp(timestamp_ms)) return invalidTimestamp(timestamp_ms);
    const latest_ms = this.clock.wall_ms() + AHEAD_MS_MAX;
    const early = anyTimestamp ? undefined : records.find(({ timestamp_ms }) => timestamp_ms > latest_ms);
    if (early === undefined) return undefined;
    const message = `The topic ${topic} takes no timestamp that is an hour ahead: ${early.timestamp_ms}. Set the clock; nothing was appended.`;
    return new AppError("APPEND_REFUSED", message);
  }

  nextEpoch(fencingId: string): number {
    const epoch = (this.#epochs.get(fencingId) ?? 0) + 1;
    this.#epochs.set(fencingId, epoch);
    return epoch;
  }

  land(topic: string, records: readonly NewRecord[], fence: Fence | undefined): number[] {
    if (fence !== undefined && this.#epochs.get(fence.fencingId) !== fence.epoch) {
      throw new AppError("PRODUCER_FENCED", `Another producer took over ${fence.fencingId}: this one must stop.`);
    }
    const touched = new Set(records.map(({ partition }) => this.partition(topic, partition)));
    const offsets = records.map((record) => {
      const { startOffset, entries, leaderEpoch } = this.partition(topic, record.partition);
      const offset = startOffset + entries.length;
      entries.push(stored(record, offset, leaderEpoch));
      return offset;
    });
    if (fence !== undefined) for (const { entries } of touched) entries.push(CONTROL);
    this.notify();
    return offsets;
  }

  openTransaction(topic: string, records: readonly NewRecord[]): OpenTransaction {
    const offsets = this.land(topic, records, undefined);
    const begun = [...Map.groupBy(records.keys(), (index) => records[index]!.partition)].map(([number, indices]) => {
      const partition = this.partition(topic, number);
      partition.openAt.add(offsets[indices[0]!]!);
      const entries = indices.map((index) => partition.entries[offsets[index]! - partition.startOffset]!);
      return { partition, entries };
    });
    const end = (commit: boolean): void => {
      for (const { partition, entries: own } of begun) {
        // A leader elected meanwhile may know nothing of the transaction.
        if (!partition.openAt.delete(own[0]!.offset)) continue;
        const { entries } = partition;
        for (const [index, entry] of entries.entries()) if (!commit && own.includes(entry!)) entries[index] = CONTROL;
        entries.push(CONTROL);
      }
      this.notify();
    };
    return { end };
  }

  /** Another program's batch of `count` records that nobody can decode. */
  landUndecodable(topic: string, partition: number, count: number, reason: string): void {
    const found = this.partition(topic, partition);
    const offset = ends(found).endOffset;
    const undecodable = { lastOffset: offset + count - 1, reason };
    const { leaderEpoch } = found;
    found.entries.push({ offset, timestamp_ms: 0, key: null, value: null, leaderEpoch, undecodable, headers: () => [] });
    for (let left = count - 1; left > 0; left--) found.entries.push(CONTROL);
    this.notify();
  }

  /**
   * The partition has a new leader, or its old one is back. A leader that was not in sync, or had not written
   * everything to its disk, lacks what lies from `endOffset` on, which is lost.
   */
  elect(topic: string, partition: number, endOffset = Number.POSITIVE_INFINITY): void {
    this.partition(topic, partition).leaderEpoch++;
    this.loseTail(topic, partition, endOffset);
  }

  /** Loses the tail in a log whose leaders have no epochs: only the lost connections tell of it. */
  loseTail(topic: string, partition: number, endOffset: number): void {
    const found = this.partition(topic, partition);
    found.term++;
    cut(found, endOffset);
    this.notify();
  }

  deleteTopic(topic: string): void {
    this.#topics.delete(topic);
    this.notify();
  }

  /** Changes the size limit, as an operator may. */
  setRecordBytesMax(topic: string, record_bytes_max: number): void {
    const found = this.#topics.get(topic);
    if (found) found.record_bytes_max = record_bytes_max;
  }

  notify(): void {
    this.#arrived.abort();
    this.#arrived = new AbortController();
  }

  /** Resolves when something is appended or a handle is closed, and after `ms` at the latest. */
  arrival(ms: number): Promise<void> {
    return this.clock.sleep(ms, this.#arrived.signal);
  }

  /** Undefined at the end; a batch without records where nothing before the end can be read yet. */
  read(
    topic: string,
    partition: number,
    position: number,
    { bytes_max, lag_records, isolation }: ReadOptions,
  ): FetchResult | undefined {
    const found = this.partition(topic, partition);
    const { startOffset: first } = found;
    const { startOffset, endOffset: heldEnd } = ends(found);
    if (position < startOffset || position > heldEnd) return { partition, outOfRange: { startOffset, endOffset: heldEnd } };
    const endOffset = Math.max(startOffset, heldEnd - lag_records);
    const visibleEnd = isolation === "committed" ? Math.min(endOffset, stableOffset(found)) : endOffset;
    if (position >= endOffset) return undefined;
    const begun = position < visibleEnd ? batchAround(found, position) : undefined;
    const records: LogRecord[] = begun ? [{ ...begun, offset: position }] : [];
    let bytes = 0;
    let nextOffset = position;
    for (; nextOffset < visibleEnd; nextOffset++) {
      const entry = found.entries[nextOffset - first];
      if (entry === undefined || entry === CONTROL) continue;
      // Replicas have a whole batch or none of it.
      if (entry.undecodable && entry.undecodable.lastOffset >= visibleEnd) break;
      bytes += (entry.key?.length ?? 0) + (entry.value?.length ?? 0);
      if (records.length > 0 && bytes > bytes_max) break;
      records.push(entry);
    }
    const { leaderEpoch } = found;
    const told = { endOffset, stableOffset: visibleEnd, leaderEpoch };
    return { partition, batch: { partition, baseOffset: position, nextOffset, ...told, records } };
  }
}

export const ends = ({ startOffset, hiddenBefore, entries }: MemoryPartition): Watermarks => ({
  startOffset: Math.max(startOffset, hiddenBefore),
  endOffset: startOffset + entries.length,
});

/** The undecodable batch that contains the offset. */
function batchAround({ startOffset, entries }: MemoryPartition, offset: number): LogRecord | undefined {
  let at = offset - startOffset;
  while (entries[at] === CONTROL && at > 0) at--;
  const entry = entries[at];
  return entry && entry.offset < offset && (entry.undecodable?.lastOffset ?? 0) >= offset ? entry : undefined;
}

export const stableOffset = (partition: MemoryPartition): number => Math.min(ends(partition).endOffset, ...partition.openAt);

const newPartition = (): MemoryPartition => ({
  leaderEpoch: 0,
  term: 0,
  openAt: new Set(),
  startOffset: 0,
  hiddenBefore: 0,
  entries: [],
});

/** Keeps what lies before `endOffset`, and no part of a batch. */
function cut(partition: MemoryPartition, endOffset: number): void {
  const { startOffset, entries, openAt } = partition;
  entries.length = Math.max(0, Math.min(entries.length, endOffset - startOffset));
  const last = entries.findLast((entry) => entry !== CONTROL);
  if (last?.undecodable && last.undecodable.lastOffset >= endOffset) entries.length = last.offset - startOffset;
  for (const open of openAt) if (open >= startOffset + entries.length) openAt.delete(open);
}

/** A copy, so that what the caller does to its bytes afterwards does not reach the log. */
const copied = (text: string | Uint8Array | null): Buffer | null =>
  text === null ? null : typeof text === "string" ? Buffer.from(text) : Buffer.from(text);

function stored(record: NewRecord, offset: number, leaderEpoch: number): LogRecord {
  const headers: Header[] = record.headers.map(([name, value]) => [name, copied(value)]);
  const [key, value, timestamp_ms] = [copied(record.key), copied(record.value), timestampOf(record.timestamp_ms)];
  return { offset, timestamp_ms, key, value, leaderEpoch, headers: () => headers };
}

const lengthOf = (text: string | Uint8Array | null): number => (text === null ? 0 : Buffer.byteLength(text));

function bytesOf({ key, value, headers }: NewRecord): number {
  let bytes = RECORD_HEAD_BYTES + lengthOf(key) + lengthOf(value);
  for (const [name, header] of headers) bytes += 2 + lengthOf(name) + lengthOf(header);
  return bytes;
}
