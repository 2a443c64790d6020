import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { writeDigits, writeInteger } from "../../src/orders/decimal-digits.ts";

const bytes = Buffer.alloc(20);

const integer = (n: number): string => bytes.toString("latin1", 1, writeInteger(bytes, 1, n));

describe("an integer is written as String writes it", () => {
  test("if it is small, a power of ten, or next to one", () => {
    for (let n = 0; n < 2_000; n++) expect(integer(n)).toBe(String(n));
    for (let power = 1; power < 1e15; power *= 10) {
      for (const n of [power - 1, power, power + 1]) expect(integer(n)).toBe(String(n));
    }
    expect(integer(999_999_999_999_999)).toBe("999999999999999");
  });

  test("whatever it is, up to 15 digits", () => {
    const any = fc.integer({ min: 1, max: 15 }).chain((digits) => fc.integer({ min: 0, max: 10 ** digits - 1 }));
    fc.assert(
      fc.property(any, (n) => {
        expect(integer(n)).toBe(String(n));
      }),
      { numRuns: 2_000 },
    );
  });
});

test("the first digits of a number of 14 places are written with the zeros that lead it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e14 - 1 }), fc.integer({ min: 1, max: 14 }), (places, count) => {
      const to = writeDigits(bytes, 2, places, count);
      expect(bytes.toString("latin1", 2, to)).toBe(String(places).padStart(14, "0").slice(0, count));
    }),
    { numRuns: 2_000 },
  );
});
