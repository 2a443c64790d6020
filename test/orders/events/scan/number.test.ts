import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { hundredthsEnd, NumberSlot, quantityEnd } from "../../../../src/orders/events/scan/number.ts";
import { parseMoney } from "../../../../src/orders/money.ts";

const slot = new NumberSlot();

/** The number at the beginning of the text, if it is taken and a brace follows. */
function read(numberEnd: typeof hundredthsEnd, text: string): number | undefined {
  const bytes = Buffer.from(`${text}}`, "latin1");
  const end = numberEnd(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, slot);
  return end === text.length ? slot.value : undefined;
}

const amount = (text: string) => read(hundredthsEnd, text);

describe("an amount", () => {
  test.each([
    ["0", 0],
    ["25.5", 2_550],
    ["49", 4_900],
    ["150.00", 15_000],
    ["1235.4299999999998", 123_543],
    ["0.30000000000000004", 30],
    ["411.80999999999995", 41_181],
    ["2.5000", 250],
    ["0.999", 100],
    ["1000000000000", 1e14],
    ["999999999999.99", 1e14 - 1],
  ])("%s is %d hundredths", (text, hundredths) => {
    expect(amount(text)).toBe(hundredths);
  });

  test.each(["1.005", "12.345", "0.005", "1.00499999999999989", "1.0050000000000000001"])(
    "%s is not taken, since it takes a double to tell how it is rounded",
    (text) => {
      expect(amount(text)).toBeUndefined();
    },
  );

  test.each(["", "-0", "-1", "+1", "00", "01", "1.", ".5", "1e2", "1E400", "0x1", "1_0", "1000000000000.01", "99999999999999"])(
    "%p is not taken",
    (text) => {
      expect(amount(text)).toBeUndefined();
    },
  );

  test("with up to two decimals is always taken, up to the largest", () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(100_000), fc.integer({ min: 0, max: 1e14 })), (hundredths) => {
        const text = String(hundredths).padStart(3, "0").replace(/(..)$/, ".$1");
        expect(amount(text)).toBe(hundredths);
        expect(parseMoney(Number(text))).toBe(hundredths);
      }),
      { numRuns: 2_000 },
    );
  });

  test("is never another than that of the number, however many digits it has and however near to a tie it is", () => {
    const digits = (min: number, max: number) => fc.stringMatching(new RegExp(`^[0-9]{${min},${max}}$`));
    const whole = fc.integer({ min: 0, max: 12 }).chain((length) => fc.stringMatching(new RegExp(`^[1-9][0-9]{${length}}$`)));
    const decimals = fc.oneof(
      digits(1, 20),
      fc
        .tuple(digits(2, 2), fc.constantFrom("4", "49", "5", "50"), fc.constantFrom("9", "0"), fc.nat(14), digits(0, 2))
        .map(([two, tie, more, count, last]) => two + tie + more.repeat(count) + last),
    );
    let taken = 0;
    fc.assert(
      fc.property(fc.oneof(fc.constant("0"), whole), decimals, (before, after) => {
        const text = `${before}.${after}`;
        const hundredths = amount(text);
        if (hundredths === undefined) return;
        taken++;
        expect(hundredths).toBe(parseMoney(Number(text)) as number);
      }),
      { numRuns: 5_000 },
    );
    expect(taken).toBeGreaterThan(1_000);
  });
});

test.each([
  ["1", 1],
  ["10", 10],
  ["1000000", 1_000_000],
  ["0", undefined],
  ["1000001", undefined],
  ["10000000", undefined],
  ["01", undefined],
  ["-1", undefined],
  ["2.0", undefined],
  ["1e2", undefined],
  ["", undefined],
])("the quantity %p is read as %p", (text, quantity) => {
  expect(read(quantityEnd, text)).toBe(quantity);
});
