import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { demoCart } from "../../src/orders/demo-cart.ts";

describe("a demo cart", () => {
  test("is within the contract, whatever the numbers drawn", () => {
    const draw = fc.oneof(
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.constant(1 - 2 ** -53),
      fc.constant(0),
    );
    fc.assert(
      fc.property(fc.nat(20), fc.infiniteStream(draw), (count, draws) => {
        const random = (): number => draws.next().value;
        const cart = demoCart(count, random);
        expect(cart.customerId).toMatch(/^CUST-\d{5}$/);
        expect(cart.currency).toBe("USD");
        expect(cart.items).toHaveLength(count);
        for (const item of cart.items) {
          expect(item.itemId).toMatch(/^ITEM-\d{3}$/);
          expect(Number.isInteger(item.quantity) && item.quantity >= 1 && item.quantity <= 10).toBe(true);
          expect(Number.isInteger(item.price_hundredths) && item.price_hundredths >= 1000 && item.price_hundredths <= 10000).toBe(
            true,
          );
        }
      }),
    );
  });

  test("reaches both ends of its ranges", () => {
    expect(demoCart(1, () => 0)).toEqual({
      customerId: "CUST-00000",
      currency: "USD",
      items: [{ itemId: "ITEM-000", quantity: 1, price_hundredths: 1000 }],
    });
    expect(demoCart(1, () => 1 - 2 ** -53)).toEqual({
      customerId: "CUST-99999",
      currency: "USD",
      items: [{ itemId: "ITEM-999", quantity: 10, price_hundredths: 10000 }],
    });
  });
});
