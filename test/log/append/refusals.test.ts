import { expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import { Refusals } from "../../../src/log/append/refusals.ts";

function refusals() {
  const told: string[] = [];
  let now_ms = 1_000;
  const clock = { ...systemClock, now_ms: () => now_ms };
  return { told, refusals: new Refusals(clock, (message) => told.push(message)), pass: (ms: number) => void (now_ms += ms) };
}

const noRight = new AppError("APPEND_REFUSED", "The user may not write to orders.");
const tooLarge = (bytes: number) => new AppError("EVENT_TOO_LARGE", `The event has ${bytes} bytes.`);

test("each cause is told once a minute, whatever figures are in it", () => {
  const { told, refusals: seen, pass } = refusals();
  for (let n = 0; n < 100; n++) {
    seen.note(noRight);
    seen.note(tooLarge(2_000 + n));
    pass(500);
  }
  expect(told).toEqual(["APPEND_REFUSED: The user may not write to orders.", "EVENT_TOO_LARGE: The event has 2000 bytes."]);
  pass(10_000);
  seen.note(noRight);
  expect(told).toHaveLength(3);
});

test("the latest one is shown for a minute", () => {
  const { refusals: seen, pass } = refusals();
  expect(seen.latest).toBeUndefined();
  seen.note(tooLarge(1));
  seen.note(noRight);
  pass(59_999);
  expect(seen.latest).toBe(noRight.message);
  pass(1);
  expect(seen.latest).toBeUndefined();
});

test("causes without end are told up to a bound, and again once a minute is over", () => {
  const { told, refusals: seen, pass } = refusals();
  const refuse = () => {
    for (let n = 0; n < 1_000; n++) seen.note(new AppError("APPEND_REFUSED", "x".repeat(n + 1)));
  };
  refuse();
  expect(told).toHaveLength(20);
  pass(60_000);
  refuse();
  expect(told).toHaveLength(40);
});
