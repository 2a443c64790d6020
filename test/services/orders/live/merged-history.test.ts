import { expect, test } from "bun:test";
import type { MemberHistory } from "../../../../src/services/orders/live/live-figures.ts";
import { mergedHistory } from "../../../../src/services/orders/live/merged-history.ts";

/** A history of one row a second from `first_ms` on; each row is what was applied. All else follows from that. */
const historyFrom = (first_ms: number, applied: readonly number[], partitions: number): MemberHistory => ({
  told_ms: first_ms + applied.length * 1_000,
  at_ms: applied.map((_, row) => first_ms + row * 1_000),
  applied_per_s: applied,
  lag: applied.map((each) => each * 10),
  p50_ms: applied.map((each) => (each === 0 ? null : each)),
  p99_ms: applied.map((each) => (each === 0 ? null : each * 2)),
  partitions: applied.map(() => partitions),
  partitionCount: applied.map(() => 6),
});

test("rows of the same second are added, by clocks that differ, and latencies are those of the slowest", () => {
  const own = historyFrom(100_000, [1, 2, 0], 3);
  const other = historyFrom(900_400, [10, 20, 0], 3);
  expect(mergedHistory(own, [{ history: other, at_ms: 0, ahead_ms: 800_000 }])).toEqual({
    at_ms: [100_000, 101_000, 102_000],
    applied_per_s: [11, 22, 0],
    lag: [110, 220, 0],
    p50_ms: [10, 20, null],
    p99_ms: [20, 40, null],
  });
});

test("seconds of which not all partitions are known are open, and those before this member began are told", () => {
  const own = historyFrom(103_000, [1, 2], 3);
  const other = historyFrom(100_000, [10, 10, 10, 10], 3);
  const longer = { ...other, partitions: [6, 6, 3, 3] };
  const { at_ms, applied_per_s } = mergedHistory(own, [{ history: longer, at_ms: 0, ahead_ms: 0 }]);
  expect(at_ms).toEqual([100_000, 101_000, 102_000, 103_000]);
  expect(applied_per_s).toEqual([10, 10, 11, 11]);
  expect(mergedHistory(own, []).applied_per_s).toEqual([null, null]);
});
