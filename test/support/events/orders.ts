import type { LogRecord, NewRecord } from "../../../src/log/port.ts";
import { encodeEvent } from "../../../src/orders/events/encode.ts";
import type { EventHead } from "../../../src/orders/events/event-kind.ts";
import type { OrderEvent } from "../../../src/orders/events/kinds.ts";
import type { OrderCreated } from "../../../src/orders/events/order-created.ts";
import type { OrderStatusUpdated, StatusChange } from "../../../src/orders/events/order-status-updated.ts";
import type { CreatedOrder, Order, OrderFields, Status } from "../../../src/orders/order.ts";
import { storedRecord } from "./records.ts";

/** An order as a create has it; a test names only the fields that it is about. */
export const aCreatedOrder = (fields: Partial<OrderFields> = {}): CreatedOrder => ({
  orderId: "ORD-1",
  customerId: "CUST-00001",
  orderDate: "2026-11-22T21:42:39Z",
  items: [{ itemId: "ITEM-001", quantity: 1, price_hundredths: 1_000 }],
  total_hundredths: 1_000,
  currency: "USD",
  status: "new",
  ...fields,
});

/** An order; a test names only the fields that it is about. */
export const anOrder = (fields: Partial<OrderFields> = {}): Order => {
  const { status, ...created } = aCreatedOrder(fields);
  return { created, status };
};

/** A create, whose order has the event's order id. */
export const orderCreated = ({
  orderId = "ORD-1",
  order = {},
  ...head
}: Partial<EventHead> & { readonly order?: Partial<OrderFields> } = {}): OrderCreated => ({
  type: "ORDER_CREATED",
  eventId: "created",
  timestamp: "2026-11-22T21:42:39Z",
  ...head,
  orderId,
  order: aCreatedOrder({ orderId, ...order }),
});

export const statusUpdated = (fields: Partial<Omit<OrderStatusUpdated, "type">> = {}): OrderStatusUpdated => ({
  type: "ORDER_STATUS_UPDATED",
  eventId: "updated",
  timestamp: "2026-11-22T21:42:40Z",
  orderId: "ORD-1",
  status: "pending",
  ...fields,
});

/** The change that an update makes to its order; an update that came early is held as this. */
export const statusChange = (status: Status): StatusChange => ({ type: "ORDER_STATUS_UPDATED", status });

/** An event's value on the wire, parsed, so that a test can change its fields. */
export interface Wire {
  event_id: string;
  event_type: string;
  timestamp: string;
  order_id: string;
  order?: Record<string, unknown>;
}

export const wireOf = (event: OrderEvent): Wire => JSON.parse(encodeEvent(event)) as Wire;

/** The record of an event, to be appended. */
export const recordOf = (event: OrderEvent, fields: Partial<NewRecord> = {}): NewRecord => ({
  partition: 0,
  key: event.orderId,
  value: encodeEvent(event),
  headers: [],
  timestamp_ms: 1,
  ...fields,
});

/** The record of an event, as it is read from the log. */
export const logRecordOf = (event: OrderEvent, offset = 0): LogRecord => storedRecord(recordOf(event), offset);
