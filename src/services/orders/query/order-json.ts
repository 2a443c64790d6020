import { Type } from "@sinclair/typebox";
import { orderIdOnWire } from "../../../orders/event-schema.ts";
import { formatMoney } from "../../../orders/money.ts";
import { ITEMS_MAX, type Order, QUANTITY_MAX, type Status, STATUSES } from "../../../orders/order.ts";

export const moneySchema = (description: string) =>
  Type.Number({ minimum: 0, description: `${description} Written with two decimals.` });
export const statusSchema = Type.Unsafe<Status>({ type: "string", enum: [...STATUSES] });

export const orderSchema = Type.Object(
  {
    orderId: orderIdOnWire,
    customerId: Type.String(),
    orderDate: Type.String({ format: "date-time" }),
    items: Type.Array(
      Type.Object(
        {
          itemId: Type.String(),
          quantity: Type.Integer({ minimum: 1, maximum: QUANTITY_MAX }),
          price: moneySchema("Of one piece."),
        },
        { title: "Item" },
      ),
      { maxItems: ITEMS_MAX },
    ),
    totalAmount: moneySchema("As its event gives it; another program's need not be the sum of the items."),
    currency: Type.String({ pattern: "^[A-Z]{3}$" }),
    status: statusSchema,
  },
  { title: "Order" },
);
export const orderExample = {
  orderId: "ORD-123",
  customerId: "CUST-00042",
  orderDate: "2026-11-22T21:42:39.413Z",
  items: [{ itemId: "ITEM-001", quantity: 3, price: 50 }],
  totalAmount: 150,
  currency: "USD",
  status: "confirmed",
};

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
