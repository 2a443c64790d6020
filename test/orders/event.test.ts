import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { decodeEvent, EVENT_BYTES_MAX } from "../../src/orders/events/decode.ts";
import { eventHeaders } from "../../src/services/cart/commands/event-headers.ts";
import { encodeEvent } from "../../src/orders/events/encode.ts";
import type { OrderEvent } from "../../src/orders/events/kinds.ts";
import { isPoison, type PoisonCode } from "../../src/orders/events/poison.ts";
import { anEvent } from "../support/an-event.ts";

const wireOrder = {
  order_id: "ORD-123",
  customer_id: "CUST-12345",
  order_date: "2026-11-22T21:42:39.413708",
  items: [{ item_id: "ITEM-001", quantity: 3, price: 411.81 }],
  total_amount: 1235.4299999999998,
  currency: "USD",
  status: "new",
};
const wireCreated = {
  event_id: "6f8a2c1e-0000-4000-8000-000000000001",
  event_type: "ORDER_CREATED",
  timestamp: "2026-11-22T21:42:39.413905Z",
  order_id: "ORD-123",
  order: wireOrder,
};
const wireUpdated = {
  event_id: "6f8a2c1e-0000-4000-8000-000000000002",
  event_type: "ORDER_STATUS_UPDATED",
  timestamp: "2026-11-22T21:42:40.000001Z",
  order_id: "ORD-123",
  status: "confirmed",
};
const created: OrderEvent = {
  type: "ORDER_CREATED",
  eventId: wireCreated.event_id,
  timestamp: wireCreated.timestamp,
  orderId: "ORD-123",
  order: {
    orderId: "ORD-123",
    customerId: "CUST-12345",
    orderDate: "2026-11-22T21:42:39.413708Z",
    items: [{ itemId: "ITEM-001", quantity: 3, price_hundredths: 41181 }],
    total_hundredths: 123543,
    currency: "USD",
    status: "new",
  },
};

const MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const KEY = Buffer.from("ORD-123");
const decodeText = (text: string, key: Buffer | null = KEY) => decodeEvent(key, Buffer.from(text));
const decode = (wire: unknown, key: Buffer | null = KEY) => decodeText(JSON.stringify(wire), key);
const code = (decoded: object): PoisonCode | "an event" => (isPoison(decoded) ? decoded.poison : "an event");

describe("decoding", () => {
  test("reads both kinds of event; dates without a zone are UTC, microseconds stay, floats are rounded", () => {
    expect(decode(wireCreated)).toEqual(created);
    expect(decode(wireUpdated)).toEqual({
      type: "ORDER_STATUS_UPDATED",
      eventId: wireUpdated.event_id,
      timestamp: wireUpdated.timestamp,
      orderId: "ORD-123",
      status: "confirmed",
    });
  });

  test("reads what Python's json.dumps writes", () => {
    const text =
      '{"event_id": "e1", "event_type": "ORDER_CREATED", "timestamp": "2026-11-22T21:42:39", "order_id": "ORD-123", ' +
      '"order": {"order_id": "ORD-123", "customer_id": "J\\u00fcrgen \\ud83d\\ude00", "order_date": "2026-11-22T21:42:39.413708", ' +
      '"items": [{"item_id": "ITEM-1", "quantity": 2.0, "price": 1.005}], "total_amount": 2.01, "currency": "JPY", "status": "new"}}';
    expect(decodeText(text)).toEqual({
      type: "ORDER_CREATED",
      eventId: "e1",
      timestamp: "2026-11-22T21:42:39Z",
      orderId: "ORD-123",
      order: {
        orderId: "ORD-123",
        customerId: "Jürgen 😀",
        orderDate: "2026-11-22T21:42:39.413708Z",
        items: [{ itemId: "ITEM-1", quantity: 2, price_hundredths: 101 }],
        total_hundredths: 201,
        currency: "JPY",
        status: "new",
      },
    });
  });

  test("is tolerant of a foreign event: unknown fields, no items, a total that is no sum, another currency", () => {
    const order = { ...wireOrder, items: [], total_amount: 7, currency: "CHF", note: { deep: [1] }, status: "shipped" };
    const decoded = decode({ ...wireCreated, order, extra: null });
    if (isPoison(decoded) || decoded.type !== "ORDER_CREATED") throw new Error("not decoded");
    expect(decoded.order).toMatchObject({ items: [], total_hundredths: 700, currency: "CHF", status: "shipped" });
  });

  const withOrder = (fields: object) => ({ ...wireCreated, order: { ...wireOrder, ...fields } });
  const withItem = (fields: object) =>
    withOrder({ items: [wireOrder.items[0], { item_id: "I", quantity: 1, price: 1, ...fields }] });
  const poisons: [PoisonCode, unknown][] = [
    ["wrong_shape", null],
    ["wrong_shape", 7],
    ["wrong_shape", "text"],
    ["wrong_shape", []],
    ["wrong_shape", [wireCreated]],
    ["wrong_shape", {}],
    ["wrong_shape", { ...wireCreated, event_type: 1 }],
    ["unknown_event_type", { ...wireCreated, event_type: "ORDER_DELETED" }],
    ["unknown_event_type", { ...wireCreated, event_type: "toString" }],
    ["missing_event_id", { ...wireCreated, event_id: undefined }],
    ["missing_event_id", { ...wireCreated, event_id: null }],
    ["missing_event_id", { ...wireCreated, event_id: 7 }],
    ["missing_event_id", { ...wireCreated, event_id: "" }],
    ["missing_event_id", { ...wireCreated, event_id: "x".repeat(129) }],
    ["missing_event_id", { ...wireCreated, event_id: "a\nb" }],
    ["missing_event_id", { ...wireCreated, event_id: "a\u0000" }],
    ["missing_event_id", { ...wireCreated, event_id: "a\u0085" }],
    ["missing_event_id", { ...wireCreated, event_id: "a\ud800" }],
    ["invalid_order_id", { ...wireUpdated, order_id: undefined }],
    ["invalid_order_id", { ...wireUpdated, order_id: 123 }],
    ["invalid_order_id", { ...wireUpdated, order_id: "123" }],
    ["invalid_order_id", { ...wireUpdated, order_id: "ORD-12x" }],
    ["key_mismatch", { ...wireUpdated, order_id: "ORD-124" }],
    ["key_mismatch", { ...wireUpdated, order_id: "ORD-1234" }],
    ["key_mismatch", { ...wireUpdated, order_id: "ORD-12" }],
    ["invalid_date", { ...wireUpdated, timestamp: undefined }],
    ["invalid_date", { ...wireUpdated, timestamp: 1763847759 }],
    ["invalid_date", { ...wireUpdated, timestamp: "yesterday" }],
    ["invalid_status", { ...wireUpdated, status: "lost" }],
    ["invalid_status", { ...wireUpdated, status: undefined }],
    ["invalid_status", { ...wireUpdated, status: ["new"] }],
    ["wrong_shape", { ...wireCreated, order: undefined }],
    ["wrong_shape", { ...wireCreated, order: [] }],
    ["wrong_shape", withOrder({ order_id: "ORD-124" })],
    ["wrong_shape", withOrder({ customer_id: "" })],
    ["wrong_shape", withOrder({ customer_id: "x".repeat(129) })],
    ["wrong_shape", withOrder({ customer_id: "\udc00" })],
    ["invalid_date", withOrder({ order_date: "2026-02-30T00:00:00" })],
    ["wrong_shape", withOrder({ items: undefined })],
    ["wrong_shape", withOrder({ items: { length: 1 } })],
    ["wrong_shape", withOrder({ items: Array(1_001).fill(wireOrder.items[0]) })],
    ["invalid_number", withOrder({ total_amount: -0.01 })],
    ["invalid_number", withOrder({ total_amount: 1e300 })],
    ["invalid_number", withOrder({ total_amount: "12.00" })],
    ["invalid_number", withOrder({ total_amount: undefined })],
    ["invalid_currency", withOrder({ currency: "usd" })],
    ["invalid_currency", withOrder({ currency: "DOLLAR" })],
    ["invalid_currency", withOrder({ currency: "U[D" })],
    ["invalid_currency", withOrder({ currency: ["U", "S", "D"] })],
    ["invalid_status", withOrder({ status: "NEW" })],
    ["wrong_shape", withOrder({ items: [null] })],
    ["wrong_shape", withItem({ item_id: 5 })],
    ["invalid_number", withItem({ quantity: 0 })],
    ["invalid_number", withItem({ quantity: -1 })],
    ["invalid_number", withItem({ quantity: 1.5 })],
    ["invalid_number", withItem({ quantity: 1_000_001 })],
    ["invalid_number", withItem({ quantity: "3" })],
    ["invalid_number", withItem({ price: -1 })],
    ["invalid_number", withItem({ price: 1e12 + 1 })],
    ["invalid_number", withItem({ price: null })],
  ];
  test.each(poisons)("says %s of %j", (expected, wire) => {
    const decoded = decode(wire);
    expect(code(decoded)).toBe(expected);
    expect(isPoison(decoded) && decoded.detail).toMatch(/^\S.{10,200}\.$/);
  });

  const valid = Buffer.from(JSON.stringify(wireUpdated));
  const bytePoisons: [PoisonCode, Buffer | null, Buffer | null][] = [
    ["null_value", KEY, null],
    ["empty_value", KEY, Buffer.alloc(0)],
    ["value_too_large", KEY, Buffer.alloc(EVENT_BYTES_MAX + 1, 0x20)],
    ["not_json", KEY, Buffer.alloc(EVENT_BYTES_MAX, "[")],
    ["not_json", KEY, Buffer.alloc(EVENT_BYTES_MAX - (EVENT_BYTES_MAX % 5), '{"a":')],
    ["wrong_shape", KEY, Buffer.from("[".repeat(EVENT_BYTES_MAX / 2) + "]".repeat(EVENT_BYTES_MAX / 2))],
    ["not_json", KEY, Buffer.from("{")],
    ["not_json", KEY, Buffer.from("NaN")],
    ["not_json", KEY, Buffer.concat([MARK, MARK, valid])],
    ["not_json", KEY, Buffer.concat([valid, MARK])],
    ["not_json", KEY, MARK],
    ["invalid_utf8", KEY, MARK.subarray(0, 2)],
    ["not_json", KEY, Buffer.concat([valid, Buffer.from([0])])],
    ["invalid_utf8", KEY, Buffer.concat([valid, Buffer.from([0xff])])],
    ["invalid_utf8", KEY, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ["invalid_utf8", KEY, Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ["key_mismatch", null, valid],
    ["key_mismatch", Buffer.alloc(0), valid],
    ["key_mismatch", Buffer.from("ORD-124"), valid],
    ["key_mismatch", Buffer.from("ORD-1234"), valid],
  ];
  test.each(bytePoisons.map((row, i) => [row[0], i, row] as const))(
    "says %s of bytes, case %i",
    (expected, _, [, key, value]) => {
      expect(code(decodeEvent(key, value))).toBe(expected);
    },
  );

  test("passes over a byte order mark", () => {
    expect(decodeEvent(KEY, Buffer.concat([MARK, valid]))).toEqual(decodeEvent(KEY, valid));
    expect(code(decodeEvent(KEY, valid))).toBe("an event");
  });

  test("takes the largest value, and fields nested to the value's bound", () => {
    const { status, ...head } = wireUpdated;
    const text = JSON.stringify({ ...head, extra: "?", status });
    const half = Math.floor((EVENT_BYTES_MAX - text.length + 3) / 2);
    const nested = text.replace('"?"', "[".repeat(half) + "]".repeat(half));
    expect(Buffer.byteLength(nested)).toBeGreaterThan(EVENT_BYTES_MAX - 2);
    expect(code(decodeText(nested))).toBe("an event");
  });

  test("a field of a prototype is none of the event's", () => {
    const { event_id, ...rest } = wireUpdated;
    const text = JSON.stringify({ ...rest, x: 1 }).replace('"x":1', `"__proto__":{"event_id":"${event_id}"}`);
    expect(code(decodeText(text))).toBe("missing_event_id");
  });
});

const timestamp = (text: string) => {
  const decoded = decode({ ...wireUpdated, timestamp: text });
  return isPoison(decoded) ? decoded.poison : decoded.timestamp;
};

describe("dates", () => {
  test.each([
    ["2026-11-22T21:42:39", "2026-11-22T21:42:39Z"],
    ["2026-11-22T21:42:39.413905", "2026-11-22T21:42:39.413905Z"],
    ["2026-11-22T21:42:39.413905Z", "2026-11-22T21:42:39.413905Z"],
    ["2026-11-22 21:42:39.4+00:00", "2026-11-22T21:42:39.4+00:00"],
    ["2026-11-22t21:42:39z", "2026-11-22T21:42:39Z"],
    ["2026-11-22T21:42:39-05:30", "2026-11-22T21:42:39-05:30"],
    ["2024-02-29T00:00:00.123456789", "2024-02-29T00:00:00.123456789Z"],
  ])("%p is kept as %p", (given, kept) => expect(timestamp(given)).toBe(kept));

  test.each([
    "",
    "2026-11-22",
    "2026-11-22T21:42",
    "2026-11-22T21:42:39.",
    "2026-11-22T21:42:39.1234567890",
    "2026-11-22T21:42:39ZZ",
    "2026-11-22T21:42:39+24:00",
    "2026-11-22T21:42:39+0000",
    "2026-11-22T21:42:39,5",
    "2026-11-22X21:42:39",
    "2026-13-01T00:00:00",
    "2026-00-01T00:00:00",
    "2026-01-00T00:00:00",
    "2026-04-31T00:00:00",
    "2026-02-29T00:00:00",
    "1900-02-29T00:00:00",
    "2026-11-22T24:00:00",
    "2026-11-22T21:60:00",
    "2026-11-22T21:42:60",
    "2O26-11-22T21:42:39",
    " 2026-11-22T21:42:39",
  ])("%p is no date", (text) => expect(timestamp(text)).toBe("invalid_date"));

  test("what is taken is what the engine's calendar takes", () => {
    const two = fc.integer({ min: 0, max: 61 }).map((n) => String(n).padStart(2, "0"));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9999 }), two, two, two, two, two, (y, mo, d, h, mi, s) => {
        const text = `${String(y).padStart(4, "0")}-${mo}-${d}T${h}:${mi}:${s}Z`;
        const date = new Date(text);
        const real = !Number.isNaN(date.getTime()) && date.toISOString() === text.replace("Z", ".000Z");
        expect(timestamp(text)).toBe(real ? text : "invalid_date");
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }), (date) => {
        expect(timestamp(date.toISOString())).toBe(date.toISOString());
      }),
    );
  });
});

describe("encoding", () => {
  test("writes the wire's fields in their order, money with two decimals", () => {
    const order = { ...created.order, total_hundredths: 15000 };
    expect(encodeEvent({ ...created, order })).toBe(
      '{"event_id":"6f8a2c1e-0000-4000-8000-000000000001","event_type":"ORDER_CREATED","timestamp":"2026-11-22T21:42:39.413905Z",' +
        '"order_id":"ORD-123","order":{"order_id":"ORD-123","customer_id":"CUST-12345","order_date":"2026-11-22T21:42:39.413708Z",' +
        '"items":[{"item_id":"ITEM-001","quantity":3,"price":411.81}],"total_amount":150.00,"currency":"USD","status":"new"}}',
    );
    expect(
      encodeEvent({
        type: "ORDER_STATUS_UPDATED",
        eventId: 'a"b',
        timestamp: "2026-11-22T21:42:39Z",
        orderId: "ORD-1",
        status: "new",
      }),
    ).toBe(
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

  test("headers are CloudEvents' and the trace's", () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    expect(eventHeaders(created, "/cart-service", traceparent)).toEqual([
      ["ce_specversion", "1.0"],
      ["ce_id", created.eventId],
      ["ce_type", "ORDER_CREATED"],
      ["ce_source", "/cart-service"],
      ["ce_time", created.timestamp],
      ["content-type", "application/json"],
      ["traceparent", traceparent],
    ]);
  });
});

const decodesOrSaysWhy = (key: Buffer | null, value: Buffer | null) => {
  const decoded = decodeEvent(key, value);
  if (isPoison(decoded)) expect(decoded.detail.length).toBeLessThan(200);
  // What is let through is whole: it survives the way out and in again.
  else expect(decodeText(encodeEvent(decoded), key)).toEqual(decoded);
};

describe("on any bytes decoding", () => {
  const bytes = fc.option(fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.from(b)));

  test("never throws: random ones", () => {
    fc.assert(fc.property(bytes, bytes, decodesOrSaysWhy), { numRuns: 1_000 });
  });

  test("never throws: any JSON", () => {
    fc.assert(
      fc.property(fc.json(), (text) => decodesOrSaysWhy(KEY, Buffer.from(text))),
      { numRuns: 500 },
    );
  });

  test("never throws: an event with any value in any field", () => {
    const oddities = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom<unknown>(-0, 1e300, -1, 1.005, "", "\ud800", "\n", [], {}, null, 2 ** 53),
    );
    const paths = [
      ...Object.keys(wireCreated),
      "status",
      ...Object.keys(wireOrder).map((f) => `order.${f}`),
      "item.item_id",
      "item.quantity",
      "item.price",
    ];
    fc.assert(
      fc.property(fc.constantFrom(...paths), oddities, fc.boolean(), (path, odd, isUpdate) => {
        const [first = "", second = ""] = path.split(".");
        const base = isUpdate ? wireUpdated : wireCreated;
        const order = { ...wireOrder, [second]: odd };
        const items = [{ ...wireOrder.items[0], [second]: odd }];
        const wire =
          second === "" ? { ...base, [first]: odd } : { ...base, order: first === "order" ? order : { ...wireOrder, items } };
        decodesOrSaysWhy(KEY, Buffer.from(JSON.stringify(wire)));
      }),
      { numRuns: 1_000 },
    );
  });

  test("never throws: an event's bytes changed here and there", () => {
    const edit = fc.tuple(
      fc.nat(),
      fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(...Buffer.from('{}[]",:\\-.eE019u'))),
      fc.nat(2),
    );
    fc.assert(
      fc.property(anEvent, fc.array(edit, { minLength: 1, maxLength: 4 }), (event, edits) => {
        const mutated = [...Buffer.from(encodeEvent(event))];
        for (const [at, byte, kind] of edits)
          mutated.splice(at % mutated.length, kind === 0 ? 0 : 1, ...(kind === 2 ? [] : [byte]));
        decodesOrSaysWhy(Buffer.from(event.orderId), Buffer.from(mutated));
      }),
      { numRuns: 1_000 },
    );
  });
});
