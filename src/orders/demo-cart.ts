import type { Random } from "../system/random.ts";
import type { Cart, Item } from "./order.ts";

const ITEM_IDS = Array.from({ length: 1_000 }, (_, n) => `ITEM-${String(n).padStart(3, "0")}`);

/** Makes a cart of `items` random items, for a client that says only how many it wants. */
export function demoCart(items: number, random: Random): Required<Cart> {
  return {
    customerId: `CUST-${String(between(0, 99_999, random)).padStart(5, "0")}`,
    currency: "USD",
    items: Array.from({ length: items }, (): Item => ({
      itemId: ITEM_IDS[between(0, ITEM_IDS.length - 1, random)] as string,
      quantity: between(1, 10, random),
      price_hundredths: between(10_00, 100_00, random),
    })),
  };
}

const between = (least: number, most: number, random: Random): number => least + Math.floor(random() * (most - least + 1));
