import { describe, expect, test } from "bun:test";
import { KnownEnd } from "../../../src/runtime/read/known-end.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const at = (endOffset: number, asked_ms?: number) => ({ endOffset, stableOffset: endOffset, asked_ms });

describe("the age of what is applied", () => {
  test("is not known before the log has told an end that is applied", () => {
    const end = new KnownEnd(new ManualClock());
    expect(end.age_ms(5, true)).toBeUndefined();
    end.note(at(7), 5);
    expect(end.age_ms(5, true)).toBeUndefined();
    expect(end.age_ms(7, true)).toBe(0);
  });

  test("begins when the log was asked, however late its answer is found", () => {
    const clock = new ManualClock();
    const end = new KnownEnd(clock);
    const asked_ms = clock.now_ms();
    clock.leap(10_000);
    end.note(at(5, asked_ms), 5);
    expect(end.age_ms(5, true)).toBe(10_000);
  });

  test("begins, while newer records wait, with the last end that is applied", () => {
    const clock = new ManualClock();
    const end = new KnownEnd(clock);
    end.note(at(5), 5);
    clock.leap(1_000);
    end.note(at(9), 5);
    clock.leap(1_000);
    end.note(at(12), 6);
    expect(end.age_ms(6, true)).toBe(2_000);
    expect(end.age_ms(9, true)).toBe(1_000);
    expect(end.age_ms(12, true)).toBe(0);
  });

  test("goes on over a taking over, while the rows are compared, unless the log turns out to be another one", () => {
    const clock = new ManualClock();
    const end = new KnownEnd(clock);
    end.note(at(5), 5);
    clock.leap(1_000);
    end.beginAnew(end.age_ms(5, true));
    clock.leap(500);
    expect(end.age_ms(5, false)).toBe(1_500);
    end.forgetTakenOver();
    expect(end.age_ms(5, false)).toBeUndefined();
  });

  test("is not known of rows that may not be what the log has", () => {
    const end = new KnownEnd(new ManualClock());
    end.note(at(5), 5);
    expect(end.age_ms(5, false)).toBeUndefined();
    end.beginAnew();
    expect(end.age_ms(5, true)).toBeUndefined();
  });
});
