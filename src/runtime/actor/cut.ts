import type { Clock } from "../../system/clock.ts";

/** How long the log has to tell an end before the position until it is believed. */
export const CUT_MS_MIN = 2_000;

/**
 * Since when the log has told an end before what was applied. A new leader may do so for a moment (KIP-207).
 *
 * ```
 *  none ──isForGood()──▶ told ──CUT_MS_MIN later──▶ for good
 *   ▲◀──────over()────────┴──────────────────────────┘
 * ```
 */
export class Cut {
  #since_ms: number | undefined;

  constructor(private readonly clock: Clock) {}

  /** Notes that the log told too low an end. Returns whether it has for so long that it is to be believed. */
  isForGood(): boolean {
    const now_ms = this.clock.now_ms();
    this.#since_ms ??= now_ms;
    return now_ms - this.#since_ms >= CUT_MS_MIN;
  }

  over(): void {
    this.#since_ms = undefined;
  }
}
