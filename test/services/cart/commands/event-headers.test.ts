import { expect, test } from "bun:test";
import { eventHeaders } from "../../../../src/services/cart/commands/event-headers.ts";
import { orderCreated } from "../../../support/events/orders.ts";

test("an event's headers are CloudEvents' and the trace's", () => {
  const event = orderCreated();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  expect(eventHeaders(event, "/cart-service", traceparent)).toEqual([
    ["ce_specversion", "1.0"],
    ["ce_id", event.eventId],
    ["ce_type", "ORDER_CREATED"],
    ["ce_source", "/cart-service"],
    ["ce_time", event.timestamp],
    ["content-type", "application/json"],
    ["traceparent", traceparent],
  ]);
});
