import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { isOrderId, normalizeOrderId, ORDER_ID_DIGITS_MAX } from "../../src/orders/order-id.ts";

describe("an order id", () => {
  test("is ORD- and digits; bare digits get the prefix", () => {
    expect(normalizeOrderId("123")).toBe("ORD-123");
    expect(normalizeOrderId("ORD-123")).toBe("ORD-123");
    expect(normalizeOrderId("007")).toBe("ORD-007");
  });

  test.each([
    "",
    "ORD-",
    "ord-1",
    "ORD-1 ",
    " 1",
    "1\n",
    "-1",
    "1.0",
    "1e3",
    "ORD-ORD-1",
    "ORD1",
    "१२",
    "ORD-１",
    "0x1",
    "/",
    ":",
  ])("is not %p", (s) => {
    expect(normalizeOrderId(s)).toBeUndefined();
    expect(isOrderId(s)).toBe(false);
  });

  test("has a bounded number of digits", () => {
    const most = "9".repeat(ORDER_ID_DIGITS_MAX);
    expect(normalizeOrderId(most)).toBe(`ORD-${most}`);
    expect(normalizeOrderId(`ORD-${most}`)).toBe(`ORD-${most}`);
    expect(normalizeOrderId(`${most}9`)).toBeUndefined();
    expect(normalizeOrderId(`ORD-${most}9`)).toBeUndefined();
  });

  test("agrees with the contract's pattern on any string", () => {
    const likely = fc.string({ unit: fc.constantFrom("O", "R", "D", "-", "0", "5", "9", "/", ":", "٣", "\n"), maxLength: 8 });
    fc.assert(
      fc.property(fc.oneof(likely, fc.string(), fc.stringMatching(/^(ORD-)?[0-9]{1,9}$/)), (s) => {
        const expected = /^(ORD-)?[0-9]+$/.test(s) ? (s.startsWith("ORD-") ? s : `ORD-${s}`) : undefined;
        expect(normalizeOrderId(s)).toBe(expected);
        expect(isOrderId(s)).toBe(expected === s);
      }),
    );
  });
});
