import type { Clock } from "../../system/clock.ts";
import type { RestoreProgress } from "../held-partitions.ts";

/** What the meter looks at in an actor. */
interface Restoring {
  readonly partition: number;
  readonly nextOffset: number;
  /** The number of records before the end that the partition has to reach. */
  readonly behind: number;
}

/** An actor that is nearer to the end than this catches up before anybody could read about it. */
const RESTORE_RECORDS_MIN = 5_000;
const TELL_WAIT_MS = 5_000;

/**
 * Measures how partitions with no state, or with old state, catch up with the log's end. Tells people when that
 * begins, every few seconds, and when it is over.
 *
 * ```
 *  (none) ──an actor far behind──▶ restoring (others may join) ──none is behind any more──▶ (none)
 * ```
 */
export class RestoreMeter {
  /** Where each partition began, and the end it has to reach. */
  readonly #spans = new Map<number, { readonly from: number; to: number }>();
  #since_ms = 0;
  #toldAt_ms = 0;
  #progress: RestoreProgress | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly onProgress: (message: string, progress: RestoreProgress | undefined) => void,
  ) {}

  get progress(): RestoreProgress | undefined {
    return this.#progress;
  }

  /** Must be called when ends have become known and when records have been applied. */
  note(actors: Iterable<Restoring>): void {
    const now_ms = this.clock.now_ms();
    let partitions = 0;
    let done = 0;
    let total = 0;
    for (const { partition, nextOffset, behind } of actors) {
      let span = this.#spans.get(partition);
      if (!span && behind >= RESTORE_RECORDS_MIN) {
        if (this.#spans.size === 0) this.#since_ms = now_ms;
        this.#spans.set(partition, (span = { from: nextOffset, to: nextOffset + behind }));
      }
      if (!span) continue;
      if (behind > 0) {
        partitions++;
        span.to = nextOffset + behind;
      }
      done += Math.max(0, Math.min(nextOffset, span.to) - span.from);
      total += span.to - span.from;
    }
    if (this.#spans.size === 0) return;
    const elapsed_s = Math.max(1, now_ms - this.#since_ms) / 1_000;
    const records_per_s = Math.round(done / elapsed_s);
    if (partitions === 0) {
      this.#spans.clear();
      this.#progress = undefined;
      if (done > 0)
        this.onProgress(
          `Restored ${count(done)} records in ${elapsed_s.toFixed(1)} s, ${count(records_per_s)} a second.`,
          undefined,
        );
      return;
    }
    const left_s = records_per_s === 0 ? 0 : Math.ceil((total - done) / records_per_s);
    const isFirst = this.#progress === undefined;
    this.#progress = { partitions, records: done, records_total: total, records_per_s, left_s };
    if (!isFirst && now_ms - this.#toldAt_ms < TELL_WAIT_MS) return;
    this.#toldAt_ms = now_ms;
    const rate = done === 0 ? "" : `, ${count(records_per_s)} a second, about ${left_s} s left`;
    this.onProgress(
      `Restoring ${partitions} partitions from the log: ${count(done)} of ${count(total)} records${rate}.`,
      this.#progress,
    );
  }
}

const count = (n: number): string => n.toLocaleString("en-US");
