import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { formatMoney, lineTotal, MONEY_HUNDREDTHS_MAX, parseMoney, shippingCost, sumOfLines } from "../../src/orders/money.ts";

/** A number in JavaScript's decimal notation as an exact fraction, digits / 10^scale. */
function exact(n: number): { digits: bigint; scale: bigint } {
  const [mantissa = "", exponent = "0"] = String(n).split("e");
  const [whole = "", decimals = ""] = mantissa.split(".");
  const scale = decimals.length - Number(exponent);
  const digits = BigInt(whole + decimals);
  return scale >= 0 ? { digits, scale: BigInt(scale) } : { digits: digits * 10n ** BigInt(-scale), scale: 0n };
}

function slowParse(n: number): number | undefined {
  if (Number.isNaN(n) || n < 0 || n === Infinity) return undefined;
  const { digits, scale } = exact(n);
  const unit = 10n ** scale;
  const hundredths = (digits * 200n + unit) / (unit * 2n);
  return hundredths <= BigInt(MONEY_HUNDREDTHS_MAX) ? Number(hundredths) : undefined;
}

const bounded = (n: bigint) => (n <= BigInt(MONEY_HUNDREDTHS_MAX) ? Number(n) : undefined);

describe("parsing", () => {
  test.each([
    [0, 0],
    [-0, 0],
    [150, 15000],
    [1235.43, 123543],
    [1235.4299999999998, 123543],
    [1.005, 101],
    [1.00499999999999, 100],
    [0.285, 29],
    [0.005, 1],
    [0.004999999999999, 0],
    [1e-7, 0],
    [5e-324, 0],
    [0.1 + 0.2, 30],
    [1e12, MONEY_HUNDREDTHS_MAX],
    [999999999999.99, 99999999999999],
    [999999999999.995, MONEY_HUNDREDTHS_MAX],
    [1000000000000.004, MONEY_HUNDREDTHS_MAX],
    [1000000000000.01, undefined],
    [1e21, undefined],
    [Number.MAX_VALUE, undefined],
    [Infinity, undefined],
    [-Infinity, undefined],
    [NaN, undefined],
    [-0.001, undefined],
    [-1, undefined],
  ])("%p is %p hundredths", (n, hundredths) => {
    // The comparison is by Object.is, so that no −0 reaches a digest.
    expect(Object.is(parseMoney(n), hundredths)).toBe(true);
  });

  test("agrees with big integers, above all near the ties", () => {
    const tie = fc
      .tuple(
        fc.oneof(
          fc.nat(1_000_000),
          fc.maxSafeNat().map((n) => n % 1e14),
        ),
        fc.integer({ min: -3, max: 3 }),
      )
      .map(
        ([hundredths, steps]) =>
          Number(`${BigInt(hundredths) / 100n}.${String(hundredths % 100).padStart(2, "0")}5`) * (1 + steps * 2 ** -52),
      );
    const decimal = fc
      .tuple(fc.maxSafeNat(), fc.integer({ min: 0, max: 20 }))
      .map(([digits, scale]) => Number(`${digits}e-${scale}`));
    fc.assert(
      fc.property(fc.oneof(tie, decimal, fc.double({ min: 0, max: 1e13 }), fc.double()), (n) => {
        expect(parseMoney(n)).toBe(slowParse(n));
      }),
      { numRuns: 20_000 },
    );
  });
});

describe("formatting", () => {
  test.each([
    [0, "0.00"],
    [5, "0.05"],
    [15000, "150.00"],
    [123543, "1235.43"],
    [MONEY_HUNDREDTHS_MAX, "1000000000000.00"],
  ])("%p is %p", (hundredths, text) => expect(formatMoney(hundredths)).toBe(text));

  test("gives a JSON number of two decimals that parses back", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MONEY_HUNDREDTHS_MAX }), (hundredths) => {
        const text = formatMoney(hundredths);
        expect(text).toMatch(/^(0|[1-9]\d*)\.\d\d$/);
        expect(BigInt(text.replace(".", ""))).toBe(BigInt(hundredths));
        expect(parseMoney(JSON.parse(text))).toBe(hundredths);
      }),
    );
  });
});

describe("adding", () => {
  test("shipping is 2 %, half up", () => {
    expect([15000, 0, 24, 25, 74, 75].map(shippingCost)).toEqual([300, 0, 0, 1, 1, 2]);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MONEY_HUNDREDTHS_MAX }), (total) => {
        expect(BigInt(shippingCost(total))).toBe((BigInt(total) * 2n + 50n) / 100n);
      }),
    );
  });

  test("a line and a sum are exact, or undefined past the bound", () => {
    const line = fc.record({
      quantity: fc.integer({ min: 1, max: 1_000_000 }),
      price_hundredths: fc.oneof(fc.nat(10_000), fc.integer({ min: 0, max: MONEY_HUNDREDTHS_MAX })),
    });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
        const totals = lines.map((l) => BigInt(l.quantity) * BigInt(l.price_hundredths));
        expect(lines.map((l) => lineTotal(l.quantity, l.price_hundredths))).toEqual(totals.map(bounded));
        expect(sumOfLines(lines)).toBe(bounded(totals.reduce((a, b) => a + b, 0n)));
      }),
    );
    expect(lineTotal(1_000_000, MONEY_HUNDREDTHS_MAX)).toBeUndefined();
    expect(sumOfLines([{ quantity: 1, price_hundredths: MONEY_HUNDREDTHS_MAX }])).toBe(MONEY_HUNDREDTHS_MAX);
  });
});
