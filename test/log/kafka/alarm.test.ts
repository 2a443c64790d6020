import { describe, expect, test } from "bun:test";
import { Alarm } from "../../../src/log/kafka/read/alarm.ts";
import type { Clock } from "../../../src/system/clock.ts";

/** A clock that is moved by hand. It counts the sleeps that were begun. */
class HandClock implements Pick<Clock, "now_ms" | "sleep"> {
  sleeps = 0;
  #now_ms = 1_000;
  #sleepers: { at_ms: number; wake: () => void }[] = [];

  readonly now_ms = () => this.#now_ms;

  readonly sleep = (ms: number, signal?: AbortSignal) => {
    this.sleeps++;
    return new Promise<void>((wake) => {
      this.#sleepers.push({ at_ms: this.#now_ms + ms, wake });
      signal?.addEventListener("abort", () => wake());
    });
  };

  async moveTo(now_ms: number): Promise<void> {
    this.#now_ms = now_ms;
    const due = this.#sleepers.filter(({ at_ms }) => at_ms <= now_ms);
    this.#sleepers = this.#sleepers.filter(({ at_ms }) => at_ms > now_ms);
    for (const { wake } of due) wake();
    await Bun.sleep(0);
  }
}

function alarmAndClock() {
  const clock = new HandClock();
  const rung: number[] = [];
  const alarm = new Alarm(clock as unknown as Clock, () => rung.push(clock.now_ms()));
  return { alarm, clock, rung };
}

describe("an alarm", () => {
  test("is given at its time, once", async () => {
    const { alarm, clock, rung } = alarmAndClock();
    alarm.setBy(1_250);
    await clock.moveTo(1_249);
    expect(rung).toEqual([]);
    await clock.moveTo(1_250);
    await clock.moveTo(2_000);
    expect(rung).toEqual([1_250]);
  });

  test("that is set for later keeps the sleep under way, and may be given too early, but not too late", async () => {
    const { alarm, clock, rung } = alarmAndClock();
    alarm.setBy(1_250);
    alarm.setBy(1_300);
    expect(clock.sleeps).toBe(1);
    await clock.moveTo(1_250);
    alarm.setBy(1_300);
    await clock.moveTo(1_300);
    expect(rung).toEqual([1_250, 1_300]);
  });

  test("that is set for earlier is given then, and not at the first time", async () => {
    const { alarm, clock, rung } = alarmAndClock();
    alarm.setBy(1_250);
    alarm.setBy(1_050);
    await clock.moveTo(1_050);
    await clock.moveTo(1_250);
    expect(rung).toEqual([1_050]);
  });

  test("for a time that is over is given soon", async () => {
    const { alarm, clock, rung } = alarmAndClock();
    alarm.setBy(Number.NEGATIVE_INFINITY);
    await clock.moveTo(1_001);
    expect(rung).toEqual([1_001]);
  });

  test("that is cancelled is not given, and can be set again", async () => {
    const { alarm, clock, rung } = alarmAndClock();
    alarm.setBy(1_250);
    alarm.cancel();
    await clock.moveTo(1_250);
    expect(rung).toEqual([]);
    alarm.setBy(1_300);
    await clock.moveTo(1_300);
    expect(rung).toEqual([1_300]);
  });
});
