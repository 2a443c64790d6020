import { expect, test } from "bun:test";
import type { RestoreProgress } from "../../../src/runtime/held-partitions.ts";
import { RestoreMeter } from "../../../src/runtime/read/restore-meter.ts";

const NOBODY_FAR = 100;

function meter() {
  let now_ms = 1_000;
  const told: [message: string, progress: RestoreProgress | undefined][] = [];
  const clock = { now_ms: () => now_ms, wall_ms: () => now_ms, sleep: () => Promise.resolve(), yield: () => Promise.resolve() };
  const restore = new RestoreMeter(clock, (...tell) => told.push(tell));
  const note = (after_ms: number, ...actors: [partition: number, nextOffset: number, behind: number][]) => {
    now_ms += after_ms;
    restore.note(actors.map(([partition, nextOffset, behind]) => ({ partition, nextOffset, behind })));
    return restore.progress;
  };
  return { note, told };
}

test("partitions near the log's end are no restore", () => {
  const { note, told } = meter();
  expect(note(0, [0, 1_000_000, NOBODY_FAR], [1, 7, 0])).toBeUndefined();
  expect(told).toEqual([]);
});

test("tells at the beginning, every five seconds, and when all have caught up", () => {
  const { note, told } = meter();
  expect(note(0, [0, 0, 60_000], [1, 40_000, 40_000], [2, 5, NOBODY_FAR])).toEqual({
    partitions: 2,
    records: 0,
    records_total: 100_000,
    records_per_s: 0,
    left_s: 0,
  });
  expect(note(1_000, [0, 20_000, 40_000], [1, 40_000, 40_000])).toMatchObject({
    records: 20_000,
    records_per_s: 20_000,
    left_s: 4,
  });
  expect(note(4_000, [0, 60_000, 0], [1, 60_000, 20_000])).toMatchObject({ partitions: 1, records: 80_000, left_s: 2 });
  expect(note(1_000, [0, 60_500, 0], [1, 80_500, 0])).toBeUndefined();
  expect(told.map(([message]) => message)).toEqual([
    "Restoring 2 partitions from the log: 0 of 100,000 records.",
    "Restoring 1 partitions from the log: 80,000 of 100,000 records, 16,000 a second, about 2 s left.",
    "Restored 100,000 records in 6.0 s, 16,667 a second.",
  ]);
  expect(told.map(([, progress]) => progress === undefined)).toEqual([false, false, true]);
});

test("an end that moves on while it is reached for is counted in", () => {
  const { note } = meter();
  note(0, [0, 0, 10_000]);
  expect(note(1_000, [0, 5_000, 15_000])).toMatchObject({ records: 5_000, records_total: 20_000 });
});

test("partitions that are taken away in the middle end it without a word of success", () => {
  const { note, told } = meter();
  note(0, [0, 0, 10_000]);
  expect(note(1_000)).toBeUndefined();
  expect(told.map(([message]) => message)).toEqual([expect.stringMatching(/^Restoring 1 /)]);
});
