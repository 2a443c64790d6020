import { expect, test } from "bun:test";
import { Breaker, FAILURES_MAX, OPEN_MS, SILENCE_MS_MIN } from "../../src/fleet/breaker.ts";
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

/** Has as many hops wait in vain, each as long, and returns whether the peer was given up. */
function waitInVain(breaker: Breaker, clock: ManualClock, hops: number, wait_ms: number): boolean {
  let isGivenUp = false;
  for (let n = 0; n < hops; n++) {
    const sentAt_ms = clock.now_ms();
    clock.leap(wait_ms);
    isGivenUp ||= breaker.silent(sentAt_ms);
  }
  return isGivenUp;
}

test("that nothing came counts like a failure once the peer was silent for long enough, however short each hop was", () => {
  for (const wait_ms of [SILENCE_MS_MIN / 10, SILENCE_MS_MIN]) {
    const clock = new ManualClock();
    const breaker = new Breaker(clock);
    const needed = FAILURES_MAX + Math.max(0, SILENCE_MS_MIN / wait_ms - 1);
    expect(waitInVain(breaker, clock, needed - 1, wait_ms)).toBe(false);
    expect(waitInVain(breaker, clock, 1, wait_ms)).toBe(true);
    expect(breaker.enter()).toBe(false);
  }
});

test("that nothing came in what little time hops had left does not count while the peer answers others", () => {
  const clock = new ManualClock();
  const breaker = new Breaker(clock);
  for (let n = 0; n < 10 * FAILURES_MAX; n++) {
    expect(waitInVain(breaker, clock, FAILURES_MAX, SILENCE_MS_MIN / FAILURES_MAX - 1)).toBe(false);
    expect(breaker.answered()).toBe(false);
  }
  expect(breaker.enter()).toBe(true);
});

test("a peer that answered another hop meanwhile is slow and not silent", () => {
  const clock = new ManualClock();
  const breaker = new Breaker(clock);
  const sentAt_ms = clock.now_ms();
  clock.leap(1);
  breaker.answered();
  clock.leap(SILENCE_MS_MIN);
  for (let n = 0; n < 10 * FAILURES_MAX; n++) expect(breaker.silent(sentAt_ms)).toBe(false);
  expect(breaker.enter()).toBe(true);
});

test("a try that had little time left is followed by another one at once", () => {
  const { breaker, clock } = opened();
  clock.leap(OPEN_MS);
  expect([breaker.enter(), breaker.enter()]).toEqual([true, false]);
  expect(waitInVain(breaker, clock, 1, SILENCE_MS_MIN - 1)).toBe(false);
  expect([breaker.state, breaker.enter(), breaker.state]).toEqual(["open", true, "trying"]);
  expect(waitInVain(breaker, clock, 1, SILENCE_MS_MIN)).toBe(false);
  expect([breaker.state, breaker.enter()]).toEqual(["open", false]);
});

test("a time in which nobody asked is no silence", () => {
  const clock = new ManualClock();
  const breaker = new Breaker(clock);
  expect(waitInVain(breaker, clock, 1, 50)).toBe(false);
  clock.leap(OPEN_MS);
  const sentAt_ms = clock.now_ms();
  clock.leap(50);
  for (let n = 0; n < FAILURES_MAX; n++) expect(breaker.silent(sentAt_ms)).toBe(false);
  expect(breaker.enter()).toBe(true);
});

test("a hop from before it opened does not end the trial of another one", () => {
  const clock = new ManualClock();
  const breaker = new Breaker(clock);
  const sentAt_ms = clock.now_ms();
  for (let n = 0; n < FAILURES_MAX; n++) breaker.failed();
  clock.leap(OPEN_MS);
  expect([breaker.enter(), breaker.silent(sentAt_ms), breaker.state, breaker.enter()]).toEqual([true, false, "trying", false]);
});
