import type { Clock } from "../../src/system/clock.ts";

/** A clock that moves when the test says so and wakes the sleepers whose time has come. */
export class ManualClock implements Clock {
  #now_ms = 1_000_000;
  #sleepers: { until_ms: number; readonly wake: () => void }[] = [];

  now_ms(): number {
    return this.#now_ms;
  }

  wall_ms(): number {
    return this.#now_ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((wake) => {
      this.#sleepers.push({ until_ms: this.#now_ms + ms, wake });
      signal?.addEventListener("abort", () => wake(), { once: true });
    });
  }

  async yield(): Promise<void> {}

  /** Moves the clock ahead, as when the wall clock is set forward, without waking any sleeper. */
  leap(ms: number): void {
    this.#now_ms += ms;
    for (const sleeper of this.#sleepers) sleeper.until_ms += ms;
  }

  /** Lets the time pass, and whoever is woken by it have their turn. */
  async pass(ms: number): Promise<void> {
    this.#now_ms += ms;
    for (const { until_ms, wake } of this.#sleepers) if (until_ms <= this.#now_ms) wake();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
