/** Time as a parameter: the system's clock at the edge, a virtual one in tests and simulations. All values in milliseconds. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now_ms(): number;
  /** Resolves after `ms`, or at once when `signal` aborts. It never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Lets queued I/O and timers run before going on. */
  yield(): Promise<void>;
}

export const systemClock: Clock = {
  now_ms: () => Date.now(),
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

/** What `promise` gives, or undefined if it has not settled after `wait_ms_max`. */
export async function within<T>(clock: Clock, wait_ms_max: number, promise: Promise<T>): Promise<T | undefined> {
  const settled = new AbortController();
  try {
    return await Promise.race([promise, clock.sleep(Math.max(0, wait_ms_max), settled.signal).then(() => undefined)]);
  } finally {
    settled.abort();
  }
}
