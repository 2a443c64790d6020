import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { FetchResult, Header, LogRecord, NewRecord, Watermarks } from "./log.ts";

/** Takes the place of a record where a transaction's commit marker lies, as in Kafka: an offset that no reader gets. */
const CONTROL = null;

export interface MemoryPartition {
  startOffset: number;
  /** The entry at index i has the offset `startOffset + i`. */
  entries: (LogRecord | typeof CONTROL)[];
}

/** What a fenced producer was given; a later holder of the same fencing id has a higher epoch. */
export interface Fence {
  readonly fencingId: string;
  readonly epoch: number;
}

/** What the in-memory broker stores: topics, and the epochs of its fenced producers. Every method is one step. */
export class MemoryTopics {
  readonly #topics = new Map<string, MemoryPartition[]>();
  readonly #epochs = new Map<string, number>();
  #arrived = new AbortController();
  constructor(readonly clock: Clock) {}

  topic(topic: string): readonly MemoryPartition[] {
    return this.#topics.get(topic) ?? [];
  }

  partition(topic: string, partition: number): MemoryPartition {
    const found = this.topic(topic)[partition];
    if (found !== undefined) return found;
    throw new AppError("LOG_UNAVAILABLE", `The topic ${topic} has no partition ${partition}: create it first.`);
  }

  growTo(topic: string, partitions: number): void {
    const list = this.#topics.get(topic) ?? [];
    while (list.length < partitions) list.push({ startOffset: 0, entries: [] });
    this.#topics.set(topic, list);
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
      const { startOffset, entries } = this.partition(topic, record.partition);
      const offset = startOffset + entries.length;
      entries.push(stored(record, offset));
      return offset;
    });
    if (fence !== undefined) for (const { entries } of touched) entries.push(CONTROL);
    this.notify();
    return offsets;
  }

  notify(): void {
    this.#arrived.abort();
    this.#arrived = new AbortController();
  }

  /** Resolves when something was appended or a handle closed, at the latest after `ms`. */
  arrival(ms: number): Promise<void> {
    return this.clock.sleep(ms, this.#arrived.signal);
  }

  /** Undefined where there is nothing to read yet. The last `lag_records` are held and not shown. */
  read(topic: string, partition: number, position: number, bytes_max: number, lag_records: number): FetchResult | undefined {
    const found = this.partition(topic, partition);
    const { startOffset, endOffset: heldEnd } = ends(found);
    if (position < startOffset || position > heldEnd) return { partition, outOfRange: { startOffset, endOffset: heldEnd } };
    const endOffset = Math.max(startOffset, heldEnd - lag_records);
    if (position >= endOffset) return undefined;
    const records: LogRecord[] = [];
    let bytes = 0;
    let nextOffset = position;
    for (; nextOffset < endOffset; nextOffset++) {
      const entry = found.entries[nextOffset - startOffset];
      if (entry === undefined || entry === CONTROL) continue;
      bytes += (entry.key?.length ?? 0) + (entry.value?.length ?? 0);
      if (records.length > 0 && bytes > bytes_max) break;
      records.push(entry);
    }
    return { partition, batch: { partition, baseOffset: position, nextOffset, endOffset, records } };
  }
}

export const ends = ({ startOffset, entries }: MemoryPartition): Watermarks => ({
  startOffset,
  endOffset: startOffset + entries.length,
});

/** A copy: what the caller does to its bytes afterwards does not reach the log. */
const copied = (text: string | Uint8Array | null): Buffer | null =>
  text === null ? null : typeof text === "string" ? Buffer.from(text) : Buffer.from(text);

function stored(record: NewRecord, offset: number): LogRecord {
  const headers: Header[] = record.headers.map(([name, value]) => [name, copied(value)]);
  const { timestamp_ms } = record;
  return { offset, timestamp_ms, key: copied(record.key), value: copied(record.value), headers: () => headers };
}
