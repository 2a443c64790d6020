import { expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import type { LogRecord } from "../../../src/log/port.ts";
import { LetterNews } from "../../../src/runtime/dead-letters/letter-news.ts";

const AT = Date.parse("2026-11-25T12:00:00Z");

function news() {
  let passed_ms = 0;
  const told: string[] = [];
  const clock = { ...systemClock, now_ms: () => passed_ms, wall_ms: () => AT + passed_ms };
  const letters = new LetterNews("t.dlq", clock, (partition, message) => void told.push(`${partition}: ${message}`));
  return { letters, told, pass: (ms: number) => void (passed_ms += ms) };
}

const of = (code: string, count: number, lastOffset = count) =>
  Array.from({ length: count }, (_, n) => ({
    code,
    detail: "",
    record: { offset: lastOffset - count + n + 1 } as LogRecord,
  }));

test("the first letters are told at once, those that follow once a minute, also where none comes any more", () => {
  const { letters, told, pass } = news();
  letters.note(3, of("not_json", 1, 7));
  expect(told).toEqual([
    "3: 1 record went to the dead letters (t.dlq) since 2026-11-25T12:00:00.000Z: the reason is not_json, the last was at offset 7. GET /dead-letters?reason=not_json of the order service lists them.",
  ]);
  pass(1_000);
  for (let n = 0; n < 100; n++) letters.note(3, of("invalid_date", 999, (n + 1) * 1_000));
  letters.note(3, of("not_json", 100));
  letters.tellWhatIsDue();
  expect(told).toHaveLength(1);
  pass(59_000);
  letters.tellWhatIsDue();
  expect(told.slice(1)).toEqual([
    expect.stringContaining(
      "100000 records went to the dead letters (t.dlq) since 2026-11-25T12:00:01.000Z: the most frequent reason is invalid_date (99900)",
    ),
  ]);
  pass(600_000);
  letters.tellWhatIsDue();
  expect(told).toHaveLength(2);
});

test("each partition has its own minute, and what is left is told at the end", () => {
  const { letters, told } = news();
  letters.note(0, of("not_json", 1));
  letters.note(1, of("not_json", 2));
  letters.note(1, of("not_json", 5));
  expect(told.map((message) => message.slice(0, 12))).toEqual(["0: 1 record ", "1: 2 records"]);
  letters.tellTheRest();
  expect(told.slice(2)).toEqual([expect.stringContaining("1: 5 records")]);
  letters.tellTheRest();
  expect(told).toHaveLength(3);
});
