import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { keyAtOrBefore, orderIdOfKey, orderKeyAt, orderKeyOf } from "../../src/orders/order-key.ts";

const orderId = fc.stringMatching(/^ORD-[0-9]{1,14}$/);
const keyOf = (id: string): number => {
  const key = orderKeyOf(id);
  if (key === undefined) throw new Error(`${id} has no key.`);
  return key;
};

describe("an order's key", () => {
  test("sorts as the id does by code unit, and is equal for equal ids only", () => {
    const ids = ["0", "00", "007", "1", "10", "100", "2", "20", "7", "99999999999999"].map((digits) => `ORD-${digits}`);
    expect(ids.toSorted()).toEqual(ids);
    expect(ids.toSorted((a, b) => keyOf(a) - keyOf(b))).toEqual(ids);
    fc.assert(
      fc.property(orderId, orderId, (a, b) => {
        expect(Math.sign(keyOf(a) - keyOf(b))).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
      { numRuns: 2_000 },
    );
  });

  test("gives the id back", () => {
    fc.assert(
      fc.property(orderId, (id) => {
        expect(orderIdOfKey(keyOf(id))).toBe(id);
      }),
      { numRuns: 2_000 },
    );
  });

  test("from which to look for the ids after a text: the keys above it are those of all of them", () => {
    const text = fc.oneof(
      orderId,
      fc.stringMatching(/^ORD-[0-9]{1,20}$/),
      fc.stringMatching(/^ORD-[0-9]{0,14}[x.]$/),
      fc.string(),
    );
    fc.assert(
      fc.property(text, orderId, (after, id) => {
        if (id > after) expect(keyOf(id)).toBeGreaterThan(keyAtOrBefore(after));
      }),
      { numRuns: 2_000 },
    );
    expect(keyAtOrBefore("ORD-123456789012345")).toBe(keyOf("ORD-12345678901234"));
    expect(keyAtOrBefore("")).toBe(-1);
  });

  test("is an integer that a double holds exactly", () => {
    expect(keyOf("ORD-99999999999999")).toBe(99_999_999_999_999 * 16 + 14);
    expect(keyOf("ORD-99999999999999")).toBeLessThan(2 ** 51);
    expect(keyOf("ORD-99999999999998")).toBe(99_999_999_999_998 * 16 + 14);
  });

  test("is there for 14 digits and not for 15", () => {
    expect(orderKeyOf("ORD-00000000000000")).toBe(14);
    expect(orderKeyOf("ORD-000000000000000")).toBeUndefined();
  });

  test.each(["", "ORD-", "ORD", "123", "ord-1", "ORD-1x", "ORD--1", "ORD-1.5", "ORD-1e3", "ORD-٣", " ORD-1", "ORD-1 "])(
    "is not there for %p, which is no order id",
    (text) => {
      expect(orderKeyOf(text)).toBeUndefined();
      const bytes = Buffer.from(text);
      expect(orderKeyAt(bytes, 0, bytes.length)).toBe(-1);
    },
  );

  test("is read from bytes among others, and from no byte outside", () => {
    const around = fc.stringMatching(/^[0-9OR-]{0,5}$/);
    const any = fc.oneof(orderId, fc.stringMatching(/^ORD-[0-9:/]{1,16}$/));
    fc.assert(
      fc.property(around, any, around, (before, id, after) => {
        const bytes = Buffer.from(before + id + after);
        expect(orderKeyAt(bytes, before.length, before.length + id.length)).toBe(orderKeyOf(id) ?? -1);
      }),
      { numRuns: 2_000 },
    );
  });

  test("is not read from beyond the bytes", () => {
    const bytes = Buffer.from("ORD-1");
    expect(orderKeyAt(bytes, 0, 6)).toBe(-1);
    expect(orderKeyAt(bytes, 4, 2)).toBe(-1);
    expect(orderKeyAt(bytes, -1, 4)).toBe(-1);
  });
});
