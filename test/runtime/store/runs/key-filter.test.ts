import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { filterBytes, filterOf, keyBits, keyHash, mayHold } from "../../../../src/runtime/store/runs/key-filter.ts";
import { range } from "./runs-rig.ts";

const passes = (filter: Int32Array, key: number): boolean => mayHold(filter, keyHash(key), keyBits(key));

test("a filter lets all its keys pass", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.maxSafeNat(), { maxLength: 2_000, size: "max" }), (keys) => {
      const filter = filterOf(Float64Array.from(keys), keys.length);
      expect(keys.every((key) => passes(filter, key))).toBe(true);
    }),
  );
});

describe("of other keys, a filter lets at most 1.5 % pass", () => {
  const COUNT = 10_000;
  const kinds: Record<string, (n: number) => number> = {
    "dense keys": (n) => n,
    "even keys": (n) => 2 * n,
    "multiples of 2^20": (n) => n * 2 ** 20,
    "large keys": (n) => 2 ** 52 + n,
    "random keys": (n) => Math.floor(((n * 0.618_033_988_749_895) % 1) * 2 ** 53),
  };
  test.each(Object.entries(kinds))("%s", (_, keyOf) => {
    const filter = filterOf(Float64Array.from(range(0, COUNT), keyOf), COUNT);
    const passed = range(COUNT, 11 * COUNT).filter((n) => passes(filter, keyOf(n))).length;
    expect(passed / (10 * COUNT)).toBeLessThan(0.015);
  });
});

test("a filter takes 10 bits a key", () => {
  expect(filterBytes(100_000)).toBeCloseTo(125_000, -3);
});
