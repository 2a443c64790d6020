import type { Clock } from "../../../system/clock.ts";
import type { LogRecord } from "../../../log/port.ts";
import type { MemberHistory, ReadableLatency } from "./live-figures.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";

/** 15 minutes of one row per second. */
export const HISTORY_ROWS = 900;
const COLUMNS = 7;
/** How many latencies of one second the percentiles are taken from, at most. */
const LATENCIES_MAX = 512;

interface Seen {
  readonly offset: number;
  readonly end: number;
}

export interface Rates {
  readonly appended_per_s: number;
  readonly applied_per_s: number;
  readonly lag: number;
  readonly readable: ReadableLatency | undefined;
  /** Events applied per second, by partition. */
  readonly applied: ReadonlyMap<number, number>;
}

/**
 * Samples the partitions once a second and keeps the last 15 minutes in a ring of fixed size, whether or not anybody
 * is watching: for twelve partitions a sample takes a few microseconds.
 */
export class LiveSampler {
  rates: Rates = { appended_per_s: 0, applied_per_s: 0, lag: 0, readable: undefined, applied: new Map() };
  readonly #ring = new Float64Array(HISTORY_ROWS * COLUMNS);
  #rows = 0;
  #seen = new Map<number, Seen>();
  #seenAt_ms: number | undefined;
  #latencies: number[] = [];

  constructor(private readonly clock: Clock) {}

  /**
   * Notes the records of a batch that have become readable. An event that no longer counts, such as a replayed one, is
   * not among them.
   */
  readonly noteReadable = (records: readonly LogRecord[]): void => {
    if (this.#latencies.length >= LATENCIES_MAX) return;
    const now_ms = this.clock.wall_ms();
    for (const { timestamp_ms } of records) this.#latencies.push(Math.max(0, now_ms - Number(timestamp_ms)));
  };

  sample(partitions: HeldPartitions): void {
    const now_ms = this.clock.now_ms();
    const elapsed_s = Math.max(1, now_ms - (this.#seenAt_ms ?? now_ms)) / 1_000;
    const seen = new Map<number, Seen>();
    const applied = new Map<number, number>();
    let appended_per_s = 0;
    let applied_per_s = 0;
    let lag = 0;
    for (const { partition, nextOffset: offset, endOffset: end } of partitions.held()) {
      seen.set(partition, { offset, end });
      lag += Math.max(0, end - offset);
      // A partition that was just assigned, or is being rebuilt from the start, has no rate yet.
      const before = this.#seen.get(partition);
      if (!before) continue;
      const rate = Math.max(0, offset - before.offset) / elapsed_s;
      applied.set(partition, rate);
      applied_per_s += rate;
      if (before.end > 0) appended_per_s += Math.max(0, end - before.end) / elapsed_s;
    }
    this.#seen = seen;
    this.#seenAt_ms = now_ms;
    this.rates = { appended_per_s, applied_per_s, lag, readable: this.#percentiles(), applied };
    this.#keep(seen.size, partitions.partitionCount);
  }

  history(): MemberHistory {
    const first = Math.max(0, this.#rows - HISTORY_ROWS);
    const column = (c: number) =>
      Array.from({ length: this.#rows - first }, (_, row) => {
        const value = this.#ring[((first + row) % HISTORY_ROWS) * COLUMNS + c] ?? Number.NaN;
        return Number.isNaN(value) ? null : value;
      });
    return {
      told_ms: this.clock.wall_ms(),
      at_ms: column(0) as number[],
      applied_per_s: column(1),
      lag: column(2),
      p50_ms: column(3),
      p99_ms: column(4),
      partitions: column(5) as number[],
      partitionCount: column(6) as number[],
    };
  }

  #percentiles(): ReadableLatency | undefined {
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    this.#latencies = [];
    if (sorted.length === 0) return undefined;
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return { p50_ms: at(0.5), p99_ms: at(0.99) };
  }

  #keep(held: number, partitionCount: number): void {
    const { applied_per_s, lag, readable } = this.rates;
    const latencies = [readable?.p50_ms ?? NaN, readable?.p99_ms ?? NaN];
    const row = [this.clock.wall_ms(), Math.round(applied_per_s), lag, ...latencies, held, partitionCount];
    this.#ring.set(row, (this.#rows++ % HISTORY_ROWS) * COLUMNS);
  }
}
