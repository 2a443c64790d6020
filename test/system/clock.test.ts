import { expect, test } from "bun:test";
import { steadyTime, systemClock } from "../../src/system/clock.ts";

/** Time sources that the test moves. */
function sources() {
  const at = { monotonic_ms: 5_000, wall_ms: 1_764_000_000_000 };
  const now_ms = steadyTime(
    () => at.monotonic_ms,
    () => at.wall_ms,
  );
  const pass = (ms: number) => {
    at.monotonic_ms += ms;
    at.wall_ms += ms;
  };
  return { at, now_ms, pass };
}

test("time passes as both clocks say", () => {
  const { now_ms, pass } = sources();
  const start_ms = now_ms();
  pass(1_500);
  expect(now_ms() - start_ms).toBe(1_500);
});

test("a wall clock that is set back holds nothing up, not even the next time it goes forward", () => {
  const { at, now_ms, pass } = sources();
  const start_ms = now_ms();
  at.wall_ms -= 3_600_000;
  expect(now_ms() - start_ms).toBe(0);
  pass(10_000);
  expect(now_ms() - start_ms).toBe(10_000);
});

test("a wall clock that is set forward makes as much time pass, once", () => {
  const { at, now_ms, pass } = sources();
  const start_ms = now_ms();
  at.wall_ms += 3_600_000;
  expect(now_ms() - start_ms).toBe(3_600_000);
  pass(10);
  expect(now_ms() - start_ms).toBe(3_600_010);
  at.wall_ms -= 3_600_000;
  pass(10);
  expect(now_ms() - start_ms).toBe(3_600_020);
});

test("a machine that was suspended, while its monotonic clock stood still, notices how long", () => {
  const { at, now_ms } = sources();
  const start_ms = now_ms();
  at.wall_ms += 60_000;
  at.monotonic_ms += 3;
  expect(now_ms() - start_ms).toBe(60_000);
});

test("so does one whose wall clock had been set back before", () => {
  const { at, now_ms } = sources();
  at.wall_ms -= 3_600_000;
  const start_ms = now_ms();
  at.wall_ms += 60_000;
  expect(now_ms() - start_ms).toBe(60_000);
});

test("many short suspensions add up", () => {
  const { at, now_ms } = sources();
  const start_ms = now_ms();
  for (let n = 0; n < 1_000; n++) {
    at.wall_ms += 10;
    now_ms();
  }
  expect(now_ms() - start_ms).toBeWithin(9_950, 10_001);
});

test("a wall clock that is rounded to milliseconds and shakes adds nothing, however often it is looked at", () => {
  const { at, now_ms } = sources();
  const start_ms = now_ms();
  const startWall_ms = at.wall_ms;
  for (let n = 0; n < 10_000; n++) {
    at.monotonic_ms += 0.1;
    at.wall_ms = Math.floor(startWall_ms + n / 10) + (n % 7) * 4;
    now_ms();
  }
  expect(now_ms() - start_ms).toBe(1_000);
});

test("it never goes back, whatever the wall clock does", () => {
  const { at, now_ms } = sources();
  let last_ms = now_ms();
  for (let n = 0; n < 10_000; n++) {
    at.monotonic_ms += n % 3;
    at.wall_ms += ((n * 7_919) % 2_001) - 1_000;
    const next_ms = now_ms();
    expect(next_ms).toBeGreaterThanOrEqual(last_ms);
    last_ms = next_ms;
  }
});

test("the system's clock: the wall clock is the epoch's, and both give whole milliseconds", async () => {
  const [now_ms, wall_ms] = [systemClock.now_ms(), systemClock.wall_ms()];
  expect(Math.abs(wall_ms - Date.now())).toBeLessThan(1_000);
  await systemClock.sleep(20);
  expect(systemClock.now_ms() - now_ms).toBeGreaterThanOrEqual(18);
  expect([now_ms, wall_ms].every(Number.isInteger)).toBe(true);
});
