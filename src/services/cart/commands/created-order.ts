import { AppError } from "../../../errors.ts";
import { demoCart } from "../../../orders/demo-cart.ts";
import { sumOfLines } from "../../../orders/money.ts";
import type { CreatedOrder } from "../../../orders/order.ts";
import type { Random } from "../../../system/random.ts";
import type { CreateOrder } from "./commands.ts";

/** The new order of a cart; of a demo, what was left out is made up. Throws INVALID_FIELD if its total is too large. */
export function createdOrder({ orderId, cart }: CreateOrder, orderDate: string, random: Random): CreatedOrder {
  const demo = "demoItems" in cart ? { ...demoCart(cart.demoItems, random), ...cart } : cart;
  const total_hundredths = sumOfLines(demo.items);
  if (total_hundredths === undefined) throw new AppError("INVALID_FIELD", "The cart's total is too large.");
  return {
    orderId,
    customerId: demo.customerId ?? demoCart(1, random).customerId,
    orderDate,
    items: demo.items,
    total_hundredths,
    currency: demo.currency,
    status: "new",
  };
}
