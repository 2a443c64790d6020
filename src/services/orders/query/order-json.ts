import { formatMoney } from "../../../orders/money.ts";
import type { Order } from "../../../orders/order.ts";

/** Written by hand because JSON.stringify would write 150.00 as 150. */
export const orderJson = (order: Order): string => {
  const items = order.items.map(
    ({ itemId, quantity, price_hundredths }) =>
      `{"itemId":${JSON.stringify(itemId)},"quantity":${quantity},"price":${formatMoney(price_hundredths)}}`,
  );
  return (
    `{"orderId":${JSON.stringify(order.orderId)},"customerId":${JSON.stringify(order.customerId)}` +
    `,"orderDate":${JSON.stringify(order.orderDate)},"items":[${items.join(",")}]` +
    `,"totalAmount":${formatMoney(order.total_hundredths)},"currency":${JSON.stringify(order.currency)}` +
    `,"status":${JSON.stringify(order.status)}}`
  );
};
