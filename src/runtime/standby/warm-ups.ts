import type { Clock } from "../../system/clock.ts";

/** How often a member has its group share out anew, so that many partitions that catch up one by one are told together. */
export const REJOIN_WAIT_MS = 5_000;

/**
 * Follows the partitions for which another member stays in place until this one has caught up, and tells when to ask the
 * group to share out anew.
 *
 * ```
 *  none awaited ──take()──▶ awaited ──isDue(), some are ready──▶ asked for ──take()──▶ none awaited, or others
 *                             ▲                                      │
 *                             └── take() of the same, or some time later
 * ```
 */
export class WarmUps {
  #awaited: readonly number[] = [];
  #takenAt_ms = 0;
  #askedAt_ms = Number.NEGATIVE_INFINITY;

  constructor(private readonly clock: Clock) {}

  /** Takes what the group awaits of this process. */
  take(awaited: readonly number[]): void {
    this.#awaited = awaited;
    this.#takenAt_ms = this.clock.now_ms();
  }

  /** Whether the group is to be asked now: all that is awaited is ready, or some of it, and the rest takes long. */
  isDue(ready: readonly number[]): boolean {
    const caughtUp = this.#awaited.filter((partition) => ready.includes(partition));
    if (caughtUp.length === 0) return false;
    const now_ms = this.clock.now_ms();
    const isAll = caughtUp.length === this.#awaited.length;
    const from_ms = isAll ? this.#askedAt_ms : Math.max(this.#askedAt_ms, this.#takenAt_ms);
    if (now_ms - from_ms < REJOIN_WAIT_MS) return false;
    this.#askedAt_ms = now_ms;
    return true;
  }
}
