import { decodeEvent } from "../../../src/orders/events/decode.ts";
import type { OrderEvent } from "../../../src/orders/events/kinds.ts";
import type { Poison } from "../../../src/orders/events/poison.ts";
import { orderCreated } from "../../support/events/orders.ts";

/**
 * Events as programs write them, the Python predecessor among them. They are not made by `encodeEvent`, so that the
 * names on the wire are fixed here too, not only in the codec.
 */
export const wireOrder = {
  order_id: "ORD-123",
  customer_id: "CUST-12345",
  order_date: "2026-11-22T21:42:39.413708",
  items: [{ item_id: "ITEM-001", quantity: 3, price: 411.81 }],
  total_amount: 1235.4299999999998,
  currency: "USD",
  status: "new",
};
export const wireCreated = {
  event_id: "6f8a2c1e-0000-4000-8000-000000000001",
  event_type: "ORDER_CREATED",
  timestamp: "2026-11-22T21:42:39.413905Z",
  order_id: "ORD-123",
  order: wireOrder,
};
export const wireUpdated = {
  event_id: "6f8a2c1e-0000-4000-8000-000000000002",
  event_type: "ORDER_STATUS_UPDATED",
  timestamp: "2026-11-22T21:42:40.000001Z",
  order_id: "ORD-123",
  status: "confirmed",
};

/** The event that `wireCreated` encodes. */
export const created = orderCreated({
  eventId: wireCreated.event_id,
  timestamp: wireCreated.timestamp,
  orderId: "ORD-123",
  order: {
    customerId: "CUST-12345",
    orderDate: "2026-11-22T21:42:39.413708Z",
    items: [{ itemId: "ITEM-001", quantity: 3, price_hundredths: 41_181 }],
    total_hundredths: 123_543,
  },
});

export const KEY = Buffer.from("ORD-123");

export const decodeText = (text: string, key: Buffer | null = KEY): OrderEvent | Poison => decodeEvent(key, Buffer.from(text));

export const decode = (wire: unknown): OrderEvent | Poison => decodeText(JSON.stringify(wire));
