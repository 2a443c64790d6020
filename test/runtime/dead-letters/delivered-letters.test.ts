import { describe, expect, test } from "bun:test";
import type { Header, LogRecord } from "../../../src/log/port.ts";
import { DEAD_LETTER_HEADERS } from "../../../src/log/record-headers.ts";
import {
  type Claim,
  claimFor,
  DeliveredLetters,
  LETTERS_KNOWN_MAX,
} from "../../../src/runtime/dead-letters/delivered-letters.ts";
import { fittingLetter, letterBytes, letterRecord } from "../../../src/runtime/dead-letters/letter-record.ts";
import { targetsOf } from "../../../src/runtime/dead-letters/letter-search.ts";
import { aLogRecord } from "../../support/events/records.ts";

const letterOf = (of: LogRecord) =>
  letterRecord({ record: of, code: "not_json", detail: "no JSON" }, { topic: "orders", partition: 0, target: 0, wall_ms: 0 });
const claim = (offset: number): Claim => claimFor(aLogRecord({ offset }), letterOf(aLogRecord({ offset })));

describe("the letters known of a partition", () => {
  test("are bounded: of those read back, the later ones are forgotten and have to be read again", () => {
    const delivered = new DeliveredLetters();
    expect(delivered.covers(0)).toBe(false);
    delivered.begin(10);
    const last = LETTERS_KNOWN_MAX * 1.2;
    for (let offset = last; offset >= 10; offset--) delivered.noteRead(claim(offset));
    expect([9, 10, last].map((offset) => delivered.covers(offset))).toEqual([false, true, false]);
    expect([10, 11].map((offset) => delivered.has(aLogRecord({ offset })))).toEqual([true, true]);
    const through = Array.from({ length: last }, (_, offset) => offset).find(
      (offset) => offset > 10 && !delivered.covers(offset),
    )!;
    expect(through).toBeGreaterThan(LETTERS_KNOWN_MAX / 4);
    expect(delivered.has(aLogRecord({ offset: through - 1 }))).toBe(true);
  });

  test("are bounded: of those appended, the earlier ones", () => {
    const delivered = new DeliveredLetters();
    delivered.begin(0);
    const last = LETTERS_KNOWN_MAX * 1.2;
    for (let offset = 0; offset <= last; offset++) delivered.noteAppended(claim(offset));
    expect([0, last, last + 1].map((offset) => delivered.covers(offset))).toEqual([false, true, true]);
    expect(delivered.has(aLogRecord({ offset: last }))).toBe(true);
  });

  test("however many name one record, are few", () => {
    const delivered = new DeliveredLetters();
    delivered.begin(0);
    for (let n = 0; n < 2 * LETTERS_KNOWN_MAX; n++) delivered.noteRead(claim(0));
    expect(delivered.covers(1_000_000)).toBe(true);
  });
});

test.each([
  [0, 1, [0]],
  [2, 3, [2, 0]],
  [3, 6, [3, 0, 1]],
  [11, 12, [11, 0, 1, 2, 3, 5, 4]],
])("letters of partition %d may be, in a topic of %d partitions, in %j", (partition, count, targets) => {
  const found = [...targetsOf(partition, count)];
  const ascending = (numbers: number[]) => numbers.toSorted((a, b) => a - b);
  expect(ascending(found)).toEqual(ascending(targets));
  expect(found[0]).toBe(targets[0]);
});

test.each([100, 1_000, 5_000])("a letter cut to %d bytes fits, and one that fits is left as it is", (bytes_max) => {
  const header = (name: string, bytes: number): Header => [name, Buffer.alloc(bytes)];
  for (const value of [10, 400, 40_000])
    for (const key of [1, 700, 7_000])
      for (const own of [0, 800]) {
        const whole = letterOf(
          aLogRecord({ key: Buffer.alloc(key), value: Buffer.alloc(value), headers: [header("ü".repeat(9), own)] }),
        );
        const fitting = fittingLetter(whole, bytes_max);
        if (letterBytes(whole) <= bytes_max) expect(fitting).toBe(whole);
        // The letter's own information is never cut.
        else if (bytes_max > 100) expect(letterBytes(fitting)).toBeLessThanOrEqual(bytes_max);
        else expect(fitting.headers.map(([name]) => name)).toEqual(expect.arrayContaining(Object.values(DEAD_LETTER_HEADERS)));
      }
});
