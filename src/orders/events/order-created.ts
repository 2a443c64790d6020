import { Type } from "@sinclair/typebox";
import { formatMoney } from "../money.ts";
import { isCurrencyCode, isName } from "../names.ts";
import { isStatus, type Item, type CreatedOrder, ITEMS_MAX, QUANTITY_MAX, type Status, STATUSES } from "../order.ts";
import { ORDER_ID_PREFIX } from "../order-id.ts";
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
import { dateTimeEnd, hasZone } from "./scan/date-time.ts";
import { type Layout, type Literal, literal, StatusLiterals } from "./scan/layout.ts";
import { hundredthsEnd, NumberSlot, quantityEnd } from "./scan/number.ts";
import type { MembersScan, ScannedEvent } from "./scan/scanned-event.ts";
import { currencyEnd, plainTextEnd, sameEnd } from "./scan/text.ts";

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
  scan: {
    members: (layout) => new CreatedScan(layout),
    event: (head, scanned) => ({ type: "ORDER_CREATED", ...head, order: scannedOrder(head.orderId, scanned) }),
    order: (created, { status }) => ({ created, status: STATUSES[status] as Status }),
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
  order: ({ order }) => ({ created: order, status: order.status }),
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

class CreatedScan implements MembersScan {
  readonly #orderId: Literal;
  readonly #customerId: Literal;
  readonly #orderDate: Literal;
  readonly #firstItem: Literal;
  readonly #nextItem: Literal;
  readonly #noItems: Literal;
  readonly #quantity: Literal;
  readonly #price: Literal;
  readonly #total: Literal;
  readonly #currency: Literal;
  readonly #statuses: StatusLiterals;
  readonly #number = new NumberSlot();

  constructor(layout: Layout) {
    this.#orderId = literal(layout, `","order":{"order_id":"${ORDER_ID_PREFIX}`);
    this.#customerId = literal(layout, '","customer_id":"');
    this.#orderDate = literal(layout, '","order_date":"');
    this.#firstItem = literal(layout, '","items":[{"item_id":"');
    this.#noItems = literal(layout, '","items":[],"total_amount":');
    this.#quantity = literal(layout, '","quantity":');
    this.#price = literal(layout, ',"price":');
    this.#nextItem = literal(layout, '},{"item_id":"');
    this.#total = literal(layout, '}],"total_amount":');
    this.#currency = literal(layout, ',"currency":"');
    this.#statuses = new StatusLiterals(layout, '"}}');
  }

  scan(event: ScannedEvent, at: number, to: number): boolean {
    const { view, orderDigitsFrom: digitsFrom } = event;
    const digits = event.orderDigitsTo - digitsFrom;
    let i = this.#orderId.end(view, at, to);
    if (i < 0 || (i = sameEnd(view, digitsFrom, digits, i, to)) < 0) return false;
    if ((i = this.#customerId.end(view, i, to)) < 0) return false;
    event.customerIdFrom = i;
    if ((i = plainTextEnd(view, i, to)) < 0) return false;
    event.customerIdTo = i;
    if ((i = this.#orderDate.end(view, i, to)) < 0) return false;
    event.orderDateFrom = i;
    if ((i = dateTimeEnd(view, i, to)) < 0) return false;
    event.orderDateTo = i;
    event.lacksZone = !hasZone(view, i);
    if ((i = this.#itemsEnd(event, i, to)) < 0) return false;
    if ((i = hundredthsEnd(view, i, to, this.#number)) < 0) return false;
    event.total_hundredths = this.#number.value;
    if ((i = this.#currency.end(view, i, to)) < 0) return false;
    event.currencyFrom = i;
    if ((i = currencyEnd(view, i, to)) < 0) return false;
    event.status = this.#statuses.find(view, i, to);
    return event.status >= 0;
  }

  /** The position of the total behind the items, which begin at `at`, with the quote behind the order date; or −1. */
  #itemsEnd(event: ScannedEvent, at: number, to: number): number {
    const { view, items } = event;
    items.count = 0;
    let i = this.#firstItem.end(view, at, to);
    if (i < 0) return this.#noItems.end(view, at, to);
    for (;;) {
      const idFrom = i;
      const idTo = plainTextEnd(view, i, to);
      if (idTo < 0 || (i = this.#quantity.end(view, idTo, to)) < 0) return -1;
      if ((i = quantityEnd(view, i, to, this.#number)) < 0) return -1;
      const quantity = this.#number.value;
      if ((i = this.#price.end(view, i, to)) < 0) return -1;
      if ((i = hundredthsEnd(view, i, to, this.#number)) < 0) return -1;
      if (!items.add(idFrom, idTo, quantity, this.#number.value)) return -1;
      const next = this.#nextItem.end(view, i, to);
      if (next < 0) return this.#total.end(view, i, to);
      i = next;
    }
  }
}

function scannedOrder(orderId: string, scanned: ScannedEvent): CreatedOrder {
  const { items, total_hundredths, currencyFrom } = scanned;
  const orderDate = scanned.text(scanned.orderDateFrom, scanned.orderDateTo);
  return {
    orderId,
    customerId: scanned.text(scanned.customerIdFrom, scanned.customerIdTo),
    orderDate: scanned.lacksZone ? `${orderDate}Z` : orderDate,
    items: Array.from({ length: items.count }, (_, i): Item => ({
      itemId: scanned.text(items.idFrom[i] as number, items.idTo[i] as number),
      quantity: items.quantity[i] as number,
      price_hundredths: items.price_hundredths[i] as number,
    })),
    total_hundredths,
    currency: scanned.text(currencyFrom, currencyFrom + 3),
    status: STATUSES[scanned.status] as Status,
  };
}
