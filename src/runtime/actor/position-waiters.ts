import type { Clock } from "../../system/clock.ts";

interface Waiter {
  readonly offset: number;
  readonly deadline_ms: number;
  readonly resolve: (reached: boolean) => void;
  /** Stops listening for whoever waits to leave. */
  readonly forget: () => void;
}

/** At most this many requests wait for one partition's position. */
const WAITERS_MAX = 10_000;
/** How late a waiter may be told that its time is over. */
const SWEEP_MS = 20;

/**
 * Requests that wait until a partition is applied up to an offset. They share one timer, which runs only while
 * somebody waits.
 *
 * ```
 *  nobody waits ──wait()──▶ sweeping every SWEEP_MS ──reached, late or end()ed, all of them──▶ nobody waits
 * ```
 */
export class PositionWaiters {
  #waiters: Waiter[] = [];
  #sweeping = false;

  constructor(
    private readonly clock: Clock,
    private readonly ending: AbortSignal,
  ) {}

  get size(): number {
    return this.#waiters.length;
  }

  /**
   * Resolves with true once `reached` is called with at least `offset`, and with false after `wait_ms_max`, when
   * `leaving` aborts, at the end, or if too many wait already.
   */
  wait(offset: number, wait_ms_max: number, leaving?: AbortSignal): Promise<boolean> {
    if (this.#waiters.length >= WAITERS_MAX || leaving?.aborted === true) return Promise.resolve(false);
    return new Promise((resolve) => {
      const leave = () => this.#settle((one) => one === waiter, false);
      const forget = () => leaving?.removeEventListener("abort", leave);
      const waiter: Waiter = { offset, deadline_ms: this.clock.now_ms() + wait_ms_max, resolve, forget };
      leaving?.addEventListener("abort", leave);
      this.#waiters.push(waiter);
      if (!this.#sweeping) void this.#sweep();
    });
  }

  reached(nextOffset: number): void {
    this.#settle(({ offset }) => offset <= nextOffset, true);
  }

  end(): void {
    this.#settle(() => true, false);
  }

  #settle(which: (waiter: Waiter) => boolean, reached: boolean): void {
    if (this.#waiters.length === 0) return;
    const settled = this.#waiters.filter(which);
    if (settled.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => !which(waiter));
    for (const { resolve, forget } of settled) {
      forget();
      resolve(reached);
    }
  }

  async #sweep(): Promise<void> {
    this.#sweeping = true;
    while (this.#waiters.length > 0) {
      await this.clock.sleep(SWEEP_MS, this.ending);
      const now_ms = this.clock.now_ms();
      this.#settle(({ deadline_ms }) => deadline_ms <= now_ms, false);
    }
    this.#sweeping = false;
  }
}
