/**
 * Asks every `interval_ms` until the answer is neither undefined nor false; after `wait_ms_max` it throws an error with
 * `what`.
 */
export async function waitUntil<T>(
  what: string | (() => string),
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  { wait_ms_max = 10_000, interval_ms = 20 } = {},
): Promise<T> {
  const deadline_ms = performance.now() + wait_ms_max;
  while (true) {
    const answer = await probe();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() >= deadline_ms) {
      throw new Error(`Waited ${wait_ms_max} ms in vain: ${typeof what === "string" ? what : what()}`);
    }
    await Bun.sleep(interval_ms);
  }
}
