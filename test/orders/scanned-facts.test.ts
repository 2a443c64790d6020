import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { digestSum, eventFact, orderFacts } from "../../src/orders/digest.ts";
import { EventScanner, toEvent } from "../../src/orders/events/scan/scanner.ts";
import { hashKeyed, hashTexts } from "../../src/orders/fact-hash.ts";
import { ORDER_FIELDS, STATUSES } from "../../src/orders/order.ts";
import { orderKeyOf } from "../../src/orders/order-key.ts";
import { scannedCreatedFact, scannedEventFact } from "../../src/orders/scanned-facts.ts";
import { aWireText } from "../support/events/wire-texts.ts";

const scanner = new EventScanner();

const statusFactOf = (orderKey: number, status: string) => hashKeyed(ORDER_FIELDS.status.fact.number, orderKey, status);

function scan({ orderId, text }: { readonly orderId: string; readonly text: string }) {
  const bytes = Buffer.from(orderId + text);
  expect(scanner.scan(bytes, 0, orderId.length, orderId.length, bytes.length)).toBe(true);
  return toEvent(scanner.event);
}

describe("a fact from bytes is the fact of the texts", () => {
  test("of an event that counted", () => {
    fc.assert(
      fc.property(aWireText, (wire) => {
        const { orderId, eventId } = scan(wire);
        expect(scannedEventFact(scanner.event)).toBe(eventFact(orderId, eventId));
      }),
      { numRuns: 2_000 },
    );
  });

  test("of an order that was created", () => {
    fc.assert(
      fc.property(aWireText, (wire) => {
        const event = scan(wire);
        if (event.type !== "ORDER_CREATED") return;
        const { orderKey, status } = scanner.event;
        expect(digestSum(scannedCreatedFact(scanner.event), statusFactOf(orderKey, STATUSES[status]!))).toBe(
          orderFacts({ created: event.order, status: event.order.status }),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test("of an order with the largest amounts", () => {
    const order = `"order": {"order_id": "ORD-1", "customer_id": "C", "order_date": "2026-11-22T21:42:39", "items": [{"item_id": "I", "quantity": 1000000, "price": 999999999999.99}], "total_amount": 1000000000000, "currency": "USD", "status": "new"}`;
    const text = `{"event_id": "e", "event_type": "ORDER_CREATED", "timestamp": "2026-11-22T21:42:39", "order_id": "ORD-1", ${order}}`;
    const event = scan({ orderId: "ORD-1", text });
    if (event.type !== "ORDER_CREATED") throw new Error("It is a create.");
    const { orderKey, status } = scanner.event;
    expect(digestSum(scannedCreatedFact(scanner.event), statusFactOf(orderKey, STATUSES[status]!))).toBe(
      orderFacts({ created: event.order, status: event.order.status }),
    );
  });

  test("of a status", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^ORD-[0-9]{1,14}$/), fc.nat(STATUSES.length - 1), (orderId, status) => {
        const text = STATUSES[status]!;
        expect(statusFactOf(orderKeyOf(orderId)!, text)).toBe(hashTexts(ORDER_FIELDS.status.fact.number, orderId, text));
      }),
      { numRuns: 500 },
    );
  });
});
