import type { Clock } from "../../../system/clock.ts";

/** When to give up one holder of an index, so that as much time is left for each of the others. */
export const shareOf = (deadline_ms: number, others: number, clock: Clock): number => {
  const now_ms = clock.now_ms();
  return now_ms + (deadline_ms - now_ms) / (others + 1);
};
