import type { OrderState } from "../../../src/orders/fold.ts";
import type { Order } from "../../../src/orders/order.ts";

/** The order as a value that can be compared, whether its create is in memory or read from a store. */
export function plainOrder({ created, ...changing }: Order): Order {
  const { orderId, customerId, orderDate, items, total_hundredths, currency } = created;
  return { created: { orderId, customerId, orderDate, items, total_hundredths, currency }, ...changing };
}

/** The state as a value that can be compared. */
export const plainState = ({ order, held, eventIds }: OrderState) => ({
  order: order && plainOrder(order),
  held,
  eventIds: eventIds.toArray(),
});
