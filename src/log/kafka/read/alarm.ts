import type { Clock } from "../../../system/clock.ts";

/**
 * Wakes somebody who waits again and again, each time for a bound of its own, and hardly ever for that long. The sleep
 * that is under way is kept if it ends early enough: to begin and end one for each wait took a seventh of the time of
 * a small fetch. So `onAlarm` may also be called too early.
 *
 * ```
 *  off ──setBy()──▶ on ──at that time: onAlarm()──▶ off
 *                    └──cancel()──▶ off
 * ```
 */
export class Alarm {
  #atTheLatest_ms = Number.POSITIVE_INFINITY;
  #sleeping: AbortController | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly onAlarm: () => void,
  ) {}

  /** Has `onAlarm` called at this time on the clock at the latest. */
  setBy(time_ms: number): void {
    if (this.#atTheLatest_ms <= time_ms) return;
    this.cancel();
    const sleeping = new AbortController();
    this.#sleeping = sleeping;
    this.#atTheLatest_ms = time_ms;
    void this.clock.sleep(Math.max(1, time_ms - this.clock.now_ms()), sleeping.signal).then(() => {
      if (this.#sleeping !== sleeping) return;
      this.#turnOff();
      this.onAlarm();
    });
  }

  cancel(): void {
    this.#sleeping?.abort();
    this.#turnOff();
  }

  #turnOff(): void {
    this.#sleeping = undefined;
    this.#atTheLatest_ms = Number.POSITIVE_INFINITY;
  }
}
