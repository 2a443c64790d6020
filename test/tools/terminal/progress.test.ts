import { expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { Console } from "../../../src/tools/terminal/progress.ts";
import { Rate } from "../../../src/tools/terminal/rate.ts";

/** A clock whose time passes when it is slept on, or set. */
function stoppedClock() {
  const clock = {
    ...systemClock,
    time_ms: 0,
    now_ms: () => clock.time_ms,
    sleep: async (ms: number) => void (clock.time_ms += ms),
  };
  return clock;
}

const BAR = "to orders.replay ██████████████░░░░░░░░░░ 600 of 1,000, 40/s, 10 s left";

/** The output while 400 of 1,000 records are moved, after 200 of an earlier run, and then a line is said. */
function writtenOn(columns: (() => number) | undefined): string {
  const clock = stoppedClock();
  let written = "";
  const console = new Console({ write: (text) => void (written += text), columns }, clock);
  const progress = console.progress("to orders.replay", 1_000, 200);
  for (let done = 210; done <= 600; done += 10) {
    clock.time_ms += 250;
    progress.show(done);
  }
  console.say("a line");
  progress.end();
  return written;
}

test("on a terminal there is a bar with rate and time left, rewritten in place, counting from what an earlier run did", () => {
  const written = writtenOn(() => 100);
  expect(written.split("\r\x1b[K").length).toBeGreaterThan(30);
  expect(written).toEndWith(`${BAR}\r\x1b[Ka line\n${BAR}\r\x1b[K`);
});

test("elsewhere there is a line now and then", () => {
  expect(writtenOn(undefined)).toBe(`${BAR}\na line\n`);
});

test("a rate spreads records evenly and is not exceeded", async () => {
  const clock = stoppedClock();
  const rate = new Rate(500, clock);
  expect(rate.records_at_once).toBe(50);
  for (let taken = 0; taken < 1_000; taken += 50) await rate.take(50, new AbortController().signal);
  expect(clock.time_ms).toBe(1_900);
  // The rate that an idle time leaves unused does not add up.
  clock.time_ms += 60_000;
  await rate.take(50, new AbortController().signal);
  await rate.take(50, new AbortController().signal);
  expect(clock.time_ms).toBe(62_000);
  expect(new Rate(1, clock).records_at_once).toBe(1);
});
