import type { Clock } from "../../system/clock.ts";

/** Limits the records a second and spreads them evenly, so that a second's worth is not let through at once. */
export class Rate {
  #freeAt_ms: number;

  constructor(
    readonly records_per_s: number,
    private readonly clock: Clock,
  ) {
    this.#freeAt_ms = clock.now_ms();
  }

  /** How many records to take at once, so that one wait stays below about a tenth of a second. */
  get records_at_once(): number {
    return Math.max(1, Math.floor(this.records_per_s / 10));
  }

  /** Resolves when the next `records` may be let through, or when `signal` aborts. */
  async take(records: number, signal: AbortSignal): Promise<void> {
    const now_ms = this.clock.now_ms();
    const start_ms = Math.max(now_ms, this.#freeAt_ms);
    this.#freeAt_ms = start_ms + (records * 1_000) / this.records_per_s;
    if (start_ms > now_ms) await this.clock.sleep(start_ms - now_ms, signal);
  }
}
