import * as fc from "fast-check";
import type { Wire } from "./orders.ts";

/**
 * Events as programs write them, as text. They share no code with src, so that a mistake there is not made here too.
 */

export interface WireText {
  readonly orderId: string;
  readonly text: string;
}

const twoDigits = (max: number, min = 0) => fc.integer({ min, max }).map((n) => String(n).padStart(2, "0"));
const dateTime = fc
  .tuple(
    fc.date({ min: new Date("0000-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }),
    fc.stringMatching(/^(?:\.[0-9]{1,9})?$/),
    fc.oneof(
      fc.constantFrom("Z", ""),
      fc.tuple(fc.constantFrom("+", "-"), twoDigits(23), twoDigits(59)).map(([sign, h, m]) => `${sign}${h}:${m}`),
    ),
  )
  .map(([date, fraction, zone]) => date.toISOString().slice(0, 19) + fraction + zone);

const plain = fc.oneof(
  fc.stringMatching(/^(?:CUST|ITEM)-[0-9]{1,6}$/),
  fc.stringMatching(/^[ !#-[\]-~]{1,128}$/).filter((text) => text.length <= 128),
);
const eventId = fc.oneof({ weight: 3, arbitrary: fc.uuid() }, plain);
const orderId = fc.oneof(
  fc.nat().map((n) => `ORD-${n}`),
  fc.stringMatching(/^ORD-[0-9]{1,14}$/),
);
const status = fc.constantFrom("new", "pending", "confirmed", "processing", "shipped", "cancelled");

/** Money with two decimals, none, or any: not nearer to a tie than real sums of doubles come. */
const amount = fc.oneof(
  fc.integer({ min: 0, max: 10_000_000 }).map((hundredths) => hundredths / 100),
  fc.nat(1_000_000_000),
  fc
    .tuple(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 100 }))
    .map(([hundredths, quantity]) => (hundredths / 100) * quantity),
);

const head = { event_id: eventId, timestamp: dateTime, order_id: orderId };
const item = fc.record({ item_id: plain, quantity: fc.integer({ min: 1, max: 1_000_000 }), price: amount });

/** Events as objects, with their members in the order of the wire. */
const aWire: fc.Arbitrary<Wire> = fc.oneof(
  fc.record({ ...head, status }).map(({ event_id, timestamp, order_id, status: to }) => ({
    event_id,
    event_type: "ORDER_STATUS_UPDATED",
    timestamp,
    order_id,
    status: to,
  })),
  fc
    .record({
      ...head,
      customer_id: plain,
      order_date: dateTime,
      items: fc.array(item, { maxLength: 4 }),
      total_amount: amount,
      currency: fc.stringMatching(/^[A-Z]{3}$/),
      status,
    })
    .map(({ event_id, timestamp, order_id, customer_id, order_date, items, total_amount, currency, status: first }) => ({
      event_id,
      event_type: "ORDER_CREATED",
      timestamp,
      order_id,
      order: {
        order_id,
        customer_id,
        order_date,
        items: items.map(({ item_id, quantity, price }) => ({ item_id, quantity, price })),
        total_amount,
        currency,
        status: first,
      },
    })),
);

/** As Python's json.dumps writes it. */
function dumps(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(dumps).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${dumps(member)}`);
  return `{${members.join(", ")}}`;
}

/** Events as JSON.stringify and json.dumps write them. */
export const aWireText: fc.Arbitrary<WireText> = fc
  .tuple(aWire, fc.constantFrom(JSON.stringify, dumps))
  .map(([wire, write]) => ({ orderId: wire.order_id, text: write(wire) }));
