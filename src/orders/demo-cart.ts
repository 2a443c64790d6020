import type { Random } from "../system/random.ts";
import type { Cart, Item } from "./order.ts";

/** Makes a cart of `items` random items, for a client that says only how many it wants. */
export function demoCart(items: number, random: Random): Required<Cart> {
  return {
    customerId: `CUST-${digits(5, random)}`,
    currency: "USD",
    items: Array.from({ length: items }, (): Item => ({
      itemId: `ITEM-${digits(3, random)}`,
      quantity: between(1, 10, random),
      price_hundredths: between(10_00, 100_00, random),
    })),
  };
}

const between = (least: number, most: number, random: Random): number => least + Math.floor(random() * (most - least + 1));

const digits = (count: number, random: Random): string => String(between(0, 10 ** count - 1, random)).padStart(count, "0");
