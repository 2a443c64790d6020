import { describe, expect, test } from "bun:test";
import { REJOIN_WAIT_MS, WarmUps } from "../../../src/runtime/standby/warm-ups.ts";
import { ManualClock } from "../../support/manual-clock.ts";

function awaited(...partitions: number[]) {
  const clock = new ManualClock();
  const warmUps = new WarmUps(clock);
  warmUps.take(partitions);
  return { clock, warmUps };
}

describe("the group is asked for warm-ups", () => {
  test("at once when all have caught up, and never for what is not awaited", () => {
    const { warmUps } = awaited(1, 2);
    expect([warmUps.isDue([]), warmUps.isDue([0, 3]), warmUps.isDue([0, 1, 2])]).toEqual([false, false, true]);
    // Whatever the group says to that, it is not asked again at once.
    warmUps.take([1, 2]);
    expect(warmUps.isDue([1, 2])).toBe(false);
    expect(awaited().warmUps.isDue([0])).toBe(false);
  });

  test("after a while when some have, and again only after another while", () => {
    const { clock, warmUps } = awaited(1, 2);
    expect(warmUps.isDue([1])).toBe(false);
    clock.leap(REJOIN_WAIT_MS);
    expect([warmUps.isDue([1]), warmUps.isDue([1])]).toEqual([true, false]);
    clock.leap(REJOIN_WAIT_MS);
    expect(warmUps.isDue([1])).toBe(true);
  });

  test("anew after each assignment", () => {
    const { clock, warmUps } = awaited(1, 2);
    clock.leap(REJOIN_WAIT_MS);
    warmUps.take([1, 2]);
    expect(warmUps.isDue([1])).toBe(false);
    warmUps.take([]);
    expect(warmUps.isDue([1, 2])).toBe(false);
  });
});
