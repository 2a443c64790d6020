/** Retries are at most this share of all hops … */
const RETRY_SHARE = 0.1;
/** … and after a quiet time as many at once. */
export const RETRIES_AT_ONCE_MAX = 10;

/**
 * Bounds how much more work retries make: each hop adds a part of a retry, and each retry takes a whole one. So peers
 * that fail are not asked twice as often for it.
 */
export class RetryBudget {
  #retries = RETRIES_AT_ONCE_MAX;

  asked(): void {
    this.#retries = Math.min(RETRIES_AT_ONCE_MAX, this.#retries + RETRY_SHARE);
  }

  /** Whether one more hop may be a retry. */
  take(): boolean {
    if (this.#retries < 1) return false;
    this.#retries--;
    return true;
  }
}
