import { expect, test } from "bun:test";
import { Breaker, FAILURES_MAX, OPEN_MS } from "../../src/fleet/breaker.ts";
import { ManualClock } from "../support/manual-clock.ts";

function opened(): { readonly breaker: Breaker; readonly clock: ManualClock } {
  const clock = new ManualClock();
  const breaker = new Breaker(clock);
  for (let n = 1; n < FAILURES_MAX; n++) expect([breaker.enter(), breaker.failed()]).toEqual([true, false]);
  expect([breaker.enter(), breaker.failed(), breaker.state]).toEqual([true, true, "open"]);
  return { breaker, clock };
}

test("after some failures in a row nobody is let through for a while", () => {
  const { breaker, clock } = opened();
  clock.leap(OPEN_MS - 1);
  expect([breaker.enter(), breaker.state]).toEqual([false, "open"]);
});

test("an answer in between begins the count anew", () => {
  const breaker = new Breaker(new ManualClock());
  for (let n = 0; n < 3 * FAILURES_MAX; n++) {
    if (n % (FAILURES_MAX - 1) === 0) expect(breaker.answered()).toBe(false);
    expect(breaker.failed()).toBe(false);
  }
  expect(breaker.enter()).toBe(true);
});

test("then one is let through, and the others only if it has an answer", () => {
  const { breaker, clock } = opened();
  clock.leap(OPEN_MS);
  expect([breaker.enter(), breaker.enter(), breaker.state]).toEqual([true, false, "trying"]);
  expect([breaker.failed(), breaker.enter()]).toEqual([false, false]);
  clock.leap(OPEN_MS);
  expect(breaker.enter()).toBe(true);
  expect([breaker.answered(), breaker.state, breaker.enter(), breaker.enter()]).toEqual([true, "closed", true, true]);
});

test("hops that were under way when it opened do not put it off", () => {
  const { breaker, clock } = opened();
  clock.leap(OPEN_MS - 1);
  expect(breaker.failed()).toBe(false);
  clock.leap(1);
  expect(breaker.enter()).toBe(true);
});
