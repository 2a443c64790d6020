/**
 * Time as a parameter: the system's clock at the edge, a virtual one in tests and simulations. All values are whole
 * milliseconds.
 */
export interface Clock {
  /**
   * The time for deadlines, ages and waits within this process. It is never set back. It counts from a moment that
   * means nothing to another process or after a restart.
   */
  now_ms(): number;
  /**
   * Milliseconds since the Unix epoch, for what is written down. A person or NTP may set it forward or back at any
   * time.
   */
  wall_ms(): number;
  /** Resolves after `ms`, or at once when `signal` aborts. It never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Lets queued I/O and timers run first. */
  yield(): Promise<void>;
}

/**
 * The wall clock must gain this much on the monotonic clock before the gain counts. It is more than rounding and a
 * slow reading of the two clocks can cause.
 */
const GAIN_MS_MIN = 50;

/**
 * Returns a clock that is never set back and lags neither source by GAIN_MS_MIN or more.
 *
 * Neither source is enough. The monotonic clock stands still while a machine is suspended (Linux's CLOCK_MONOTONIC),
 * so a member that slept through its session would carry on as an owner. The wall clock may be set back, and a session
 * or a deadline would then last that much longer. So this is the monotonic time plus whatever the wall clock gains on
 * it. A wall clock that is set forward makes things expire early, which is safe. One case goes unnoticed: a wall clock
 * that is set back while the machine sleeps, by as long as it sleeps.
 */
export function steadyTime(monotonic_ms: () => number, wall_ms: () => number): () => number {
  let gained_ms = 0;
  let lead_ms = wall_ms() - monotonic_ms();
  return () => {
    const passed_ms = monotonic_ms();
    const newLead_ms = wall_ms() - passed_ms;
    if (newLead_ms >= lead_ms + GAIN_MS_MIN) gained_ms += newLead_ms - lead_ms;
    if (newLead_ms < lead_ms || newLead_ms >= lead_ms + GAIN_MS_MIN) lead_ms = newLead_ms;
    return Math.floor(passed_ms + gained_ms);
  };
}

export const systemClock: Clock = {
  now_ms: steadyTime(
    () => performance.now(),
    () => Date.now(),
  ),
  wall_ms: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
    }),
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};

/** The value of `promise`, or undefined if it has not settled after `wait_ms_max`. */
export async function within<T>(clock: Clock, wait_ms_max: number, promise: Promise<T>): Promise<T | undefined> {
  const settled = new AbortController();
  try {
    return await Promise.race([promise, clock.sleep(Math.max(0, wait_ms_max), settled.signal).then(() => undefined)]);
  } finally {
    settled.abort();
  }
}
