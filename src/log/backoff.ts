import type { Random } from "../system/random.ts";

export interface BackoffLimits {
  readonly backoff_ms_min: number;
  readonly backoff_ms_max: number;
}

/** Exponential back-off with jitter over its upper half, so that many clients of one broker do not return together. */
export class Backoff {
  #attempts = 0;

  constructor(
    private readonly limits: BackoffLimits,
    private readonly random: Random,
  ) {}

  /** How long to wait before the next attempt. */
  next_ms(): number {
    const { backoff_ms_min, backoff_ms_max } = this.limits;
    const ceiling_ms = Math.min(backoff_ms_max, backoff_ms_min * 2 ** Math.min(this.#attempts++, 30));
    return ceiling_ms / 2 + (this.random() * ceiling_ms) / 2;
  }

  reset(): void {
    this.#attempts = 0;
  }
}
