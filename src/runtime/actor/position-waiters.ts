import type { Clock } from "../../system/clock.ts";

interface Waiter {
  readonly offset: number;
  readonly deadline_ms: number;
  readonly resolve: (reached: boolean) => void;
}

/** More requests than this do not wait for one partition's position. */
const WAITERS_MAX = 10_000;
/** A waiter may be told this much late that its time is over. */
const SWEEP_MS = 20;

/** Those who wait until a partition is applied up to an offset. One timer for all, and none while nobody waits. */
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
   * True once `reached` was told of a position of at least `offset`; false after `wait_ms_max`, at the end, or when
   * too many wait.
   */
  wait(offset: number, wait_ms_max: number): Promise<boolean> {
    if (this.#waiters.length >= WAITERS_MAX) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#waiters.push({ offset, deadline_ms: this.clock.now_ms() + wait_ms_max, resolve });
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
    for (const { resolve } of settled) resolve(reached);
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
