import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { encodeEvent } from "../../../src/orders/events/encode.ts";
import { anEvent } from "../../support/events/an-event.ts";
import { statusUpdated } from "../../support/events/orders.ts";
import { created, decodeText } from "./samples.ts";

describe("encoding", () => {
  test("writes a create's fields in the wire's order, money with two decimals", () => {
    const order = { ...created.order, total_hundredths: 15000 };
    expect(encodeEvent({ ...created, order })).toBe(
      '{"event_id":"6f8a2c1e-0000-4000-8000-000000000001","event_type":"ORDER_CREATED","timestamp":"2026-11-22T21:42:39.413905Z",' +
        '"order_id":"ORD-123","order":{"order_id":"ORD-123","customer_id":"CUST-12345","order_date":"2026-11-22T21:42:39.413708Z",' +
        '"items":[{"item_id":"ITEM-001","quantity":3,"price":411.81}],"total_amount":150.00,"currency":"USD","status":"new"}}',
    );
  });

  test("writes an update's, and escapes what JSON must escape", () => {
    expect(encodeEvent(statusUpdated({ eventId: 'a"b', timestamp: "2026-11-22T21:42:39Z", status: "new" }))).toBe(
      '{"event_id":"a\\"b","event_type":"ORDER_STATUS_UPDATED","timestamp":"2026-11-22T21:42:39Z","order_id":"ORD-1","status":"new"}',
    );
  });

  test("and decoding it gives the event again", () => {
    fc.assert(
      fc.property(anEvent, (event) => {
        expect(decodeText(encodeEvent(event), Buffer.from(event.orderId))).toEqual(event);
      }),
      { numRuns: 500 },
    );
  });
});
