import { AppError } from "../../../errors.ts";
import { demoCart } from "../../../orders/demo-cart.ts";
import { sumOfLines } from "../../../orders/money.ts";
import type { Cart, CreatedOrder } from "../../../orders/order.ts";
import type { Random } from "../../../system/random.ts";
import type { CreateOrder, DemoCart } from "./commands.ts";

/** The new order of a cart; of a demo, what was left out is made up. Throws INVALID_FIELD if its total is too large. */
export function createdOrder({ orderId, cart }: CreateOrder, orderDate: string, random: Random): CreatedOrder {
  const { customerId, currency, items } = filled(cart, random);
  const total_hundredths = sumOfLines(items);
  if (total_hundredths === undefined) throw new AppError("INVALID_FIELD", "The cart's total is too large.");
  return {
    orderId,
    customerId: customerId ?? demoCart(1, random).customerId,
    orderDate,
    items,
    total_hundredths,
    currency,
    status: "new",
  };
}

function filled(cart: Cart | DemoCart, random: Random): Cart {
  if (!("demoItems" in cart)) return cart;
  const { customerId, currency, items } = demoCart(cart.demoItems, random);
  return {
    customerId: cart.customerId ?? customerId,
    currency: cart.currency ?? currency,
    items,
  } satisfies Record<keyof Cart, unknown>;
}
