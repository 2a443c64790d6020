import { Type } from "@sinclair/typebox";
import { formatMoney } from "../money.ts";
import { isCurrencyCode, isName } from "../names.ts";
import { isStatus, type Item, type CreatedOrder, ITEMS_MAX, QUANTITY_MAX } from "../order.ts";
import type { CreateKind, EventHead } from "./event-kind.ts";
import {
  DATE_RULE,
  dateTimeSchema,
  isObject,
  isQuantity,
  MONEY_RULE,
  moneySchema,
  NAME_RULE,
  nameSchema,
  orderIdSchema,
  quantitySchema,
  quoted,
  readDateTime,
  readMoney,
  STATUS_RULE,
  statusSchema,
} from "./fields.ts";
import { isPoison, type Poison, poison } from "./poison.ts";

export interface OrderCreated extends EventHead {
  readonly type: "ORDER_CREATED";
  readonly order: CreatedOrder;
}

export const orderCreated: CreateKind<OrderCreated> = {
  type: "ORDER_CREATED",
  name: "OrderCreated",
  summary: "An order was created; the first in the log counts.",
  example: {
    order: {
      order_id: "ORD-123",
      customer_id: "CUST-00042",
      order_date: "2026-11-22T21:42:39.413Z",
      items: [{ item_id: "ITEM-001", quantity: 3, price: 50 }],
      total_amount: 150,
      currency: "USD",
      status: "new",
    },
  },
  properties: {
    order: Type.Object(
      {
        order_id: orderIdSchema,
        customer_id: nameSchema("The client's id of who orders."),
        order_date: dateTimeSchema("When it was ordered."),
        items: Type.Array(
          Type.Object({
            item_id: nameSchema("The client's id of what is ordered."),
            quantity: quantitySchema,
            price: moneySchema("Of one piece; rounded half up to two decimals."),
          }),
          { maxItems: ITEMS_MAX },
        ),
        total_amount: moneySchema("Kept as given; rounded half up to two decimals."),
        currency: Type.String({ pattern: "^[A-Z]{3}$" }),
        status: statusSchema,
      },
      { title: "OrderOnWire" },
    ),
  },
  decode({ eventId, timestamp, orderId }, wire) {
    const order = decodeOrder(orderId, wire.order);
    return isPoison(order) ? order : { type: "ORDER_CREATED", eventId, timestamp, orderId, order };
  },
  encode: ({ order }) => `"order":${encodeOrder(order)}`,
  show: ({ order: { status, currency, total_hundredths } }) => ({
    status,
    currency,
    totalAmount: Number(formatMoney(total_hundredths)),
  }),
  shown: {
    totalAmount: Type.Optional(Type.Number({ minimum: 0 })),
    currency: Type.Optional(Type.String()),
  },
  words: "create, {totalAmount} {currency}",
  isCreate: true,
  order: ({ order }) => order,
};

function decodeOrder(orderId: string, wire: unknown): CreatedOrder | Poison {
  if (!isObject(wire)) return poison("wrong_shape", "order must be an object.");
  if (wire.order_id !== orderId) return poison("wrong_shape", `order.order_id must be the event's order_id, ${orderId}.`);
  const customerId = wire.customer_id;
  if (!isName(customerId)) return poison("wrong_shape", `order.customer_id ${NAME_RULE}`);
  const orderDate = readDateTime(wire.order_date);
  if (orderDate === undefined) return poison("invalid_date", `order.order_date ${DATE_RULE}`);
  const items = decodeItems(wire.items);
  if ("poison" in items) return items;
  const total_hundredths = readMoney(wire.total_amount);
  if (total_hundredths === undefined) return poison("invalid_number", `order.total_amount ${MONEY_RULE}`);
  const currency = wire.currency;
  if (!isCurrencyCode(currency)) return poison("invalid_currency", "order.currency must be three letters from A to Z.");
  const status = wire.status;
  if (!isStatus(status)) return poison("invalid_status", `order.status ${STATUS_RULE}`);
  return { orderId, customerId, orderDate, items, total_hundredths, currency, status };
}

function decodeItems(wire: unknown): Item[] | Poison {
  if (!Array.isArray(wire)) return poison("wrong_shape", "order.items must be an array.");
  if (wire.length > ITEMS_MAX) return poison("wrong_shape", `order.items must have at most ${ITEMS_MAX} items.`);
  const items: Item[] = [];
  for (const item of wire as unknown[]) {
    const at = items.length;
    if (!isObject(item)) return poison("wrong_shape", `order.items[${at}] must be an object.`);
    const itemId = item.item_id;
    if (!isName(itemId)) return poison("wrong_shape", `order.items[${at}].item_id ${NAME_RULE}`);
    const quantity = item.quantity;
    if (!isQuantity(quantity)) {
      return poison("invalid_number", `order.items[${at}].quantity must be an integer from 1 to ${QUANTITY_MAX}.`);
    }
    const price_hundredths = readMoney(item.price);
    if (price_hundredths === undefined) return poison("invalid_number", `order.items[${at}].price ${MONEY_RULE}`);
    items.push({ itemId, quantity, price_hundredths });
  }
  return items;
}

function encodeOrder(order: CreatedOrder): string {
  let items = "";
  for (const item of order.items) {
    if (items !== "") items += ",";
    items += `{"item_id":${quoted(item.itemId)},"quantity":${item.quantity},"price":${formatMoney(item.price_hundredths)}}`;
  }
  return (
    `{"order_id":"${order.orderId}","customer_id":${quoted(order.customerId)},"order_date":"${order.orderDate}",` +
    `"items":[${items}],"total_amount":${formatMoney(order.total_hundredths)},"currency":"${order.currency}","status":"${order.status}"}`
  );
}
