import { describe, expect, test } from "bun:test";
import { mergesDue, owedIn } from "../../../../src/runtime/store/runs/merge-policy.ts";
import { Run, Segment, Slot } from "../../../../src/runtime/store/runs/run.ts";

const runOf = (records: number, replaced: number): Run => {
  const segment = new Segment(1, 1_000, records, Float64Array.of(0), Uint32Array.of(0), Uint32Array.of(0), undefined);
  return new Run(1, 1, records === 0 ? [] : [segment], replaced);
};

/** A slot of one run. */
const one = (records: number, replaced = records): Slot => new Slot(runOf(records, replaced), []);

/** A merge that has not begun to write. */
const merging = (records: number): Slot => new Slot(runOf(0, records), [runOf(records, records)]);

const many = (count: number, slot: Slot): Slot[] => Array.from({ length: count }, () => slot);

describe("the merges that begin", () => {
  test("are of eight runs of about one size", () => {
    expect(mergesDue([...many(7, one(6_000)), one(1_000_000)])).toEqual([]);
    expect(mergesDue([...many(8, one(6_000)), one(1_000_000)])).toEqual([{ from: 0, to: 8 }]);
    expect(mergesDue([one(10), ...many(8, one(6_000)), one(1_000_000)])).toEqual([{ from: 1, to: 9 }]);
  });

  test("take in a small run below larger ones", () => {
    expect(mergesDue([...many(5, one(6_000)), one(10), ...many(2, one(6_000)), one(1_000_000)])).toEqual([{ from: 0, to: 8 }]);
  });

  test("are of the oldest run and all above it that are not being merged, once those replace 0.3 of its records", () => {
    expect(mergesDue([one(29), one(100)])).toEqual([]);
    expect(mergesDue([one(10), one(20), one(100)])).toEqual([{ from: 0, to: 3 }]);
    expect(mergesDue([one(10), merging(50), one(20), one(100)])).toEqual([]);
    expect(mergesDue([one(10), merging(50), one(30), one(100)])).toEqual([{ from: 2, to: 4 }]);
    expect(mergesDue([one(90), merging(100)])).toEqual([]);
  });

  test("leave the oldest run alone if little of it is replaced, until it is one of eight", () => {
    expect(mergesDue([one(200_000, 10), one(300_000)])).toEqual([]);
    expect(mergesDue([...many(7, one(200_000, 10)), one(250_000)])).toEqual([{ from: 0, to: 8 }]);
  });

  test("may be several, of which that of the oldest runs is the first", () => {
    const slots = [...many(8, one(6_000)), ...many(8, one(50_000)), one(2_000_000)];
    expect(mergesDue(slots)).toEqual([
      { from: 8, to: 16 },
      { from: 0, to: 8 },
    ]);
    expect(mergesDue([...many(8, one(6_000)), merging(9), one(50_000), one(100_000)])).toEqual([
      { from: 9, to: 11 },
      { from: 0, to: 8 },
    ]);
  });
});

describe("what is owed", () => {
  const added = one(6_000);

  test("to the oldest run is done when the newer ones replace 0.3 of it again", () => {
    const slots = [...many(3, one(10_000)), merging(1_300_000)];
    expect(owedIn(slots, 3, added)).toBe(36_000);
    expect(owedIn(slots, 3, one(30_000))).toBe(180_000);
    expect(owedIn(slots, 3, one(30_000, 0))).toBe(130_000);
  });

  test("to newer runs is done when half as much was added", () => {
    expect(owedIn([one(10_000), merging(50_000), one(1_000_000)], 1, added)).toBe(32_000);
    expect(owedIn([one(30_000), merging(50_000), one(1_000_000)], 1, one(10_000))).toBe(50_000);
  });

  test("is nothing until it is worth a step", () => {
    expect(owedIn([merging(50_000), one(1_000_000)], 0, added)).toBe(0);
    expect(owedIn([merging(10_000), one(1_000_000)], 0, added)).toBe(10_000);
  });
});
