import { describe, expect, test } from "bun:test";
import { decodeEvent, EVENT_BYTES_MAX } from "../../../src/orders/events/decode.ts";
import { isPoison, type PoisonCode } from "../../../src/orders/events/poison.ts";
import { orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { created, decode, decodeText, KEY, wireCreated, wireOrder, wireUpdated } from "./samples.ts";

const MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const code = (decoded: object): PoisonCode | "an event" => (isPoison(decoded) ? decoded.poison : "an event");

describe("decoding", () => {
  test("reads a create: a date without a zone is UTC, microseconds stay, floats are rounded", () => {
    expect(decode(wireCreated)).toEqual(created);
  });

  test("reads an update", () => {
    expect(decode(wireUpdated)).toEqual(
      statusUpdated({
        eventId: wireUpdated.event_id,
        timestamp: wireUpdated.timestamp,
        orderId: "ORD-123",
        status: "confirmed",
      }),
    );
  });

  test("reads what Python's json.dumps writes", () => {
    const text =
      '{"event_id": "e1", "event_type": "ORDER_CREATED", "timestamp": "2026-11-22T21:42:39", "order_id": "ORD-123", ' +
      '"order": {"order_id": "ORD-123", "customer_id": "J\\u00fcrgen \\ud83d\\ude00", "order_date": "2026-11-22T21:42:39.413708", ' +
      '"items": [{"item_id": "ITEM-1", "quantity": 2.0, "price": 1.005}], "total_amount": 2.01, "currency": "JPY", "status": "new"}}';
    expect(decodeText(text)).toEqual(
      orderCreated({
        eventId: "e1",
        timestamp: "2026-11-22T21:42:39Z",
        orderId: "ORD-123",
        order: {
          customerId: "Jürgen 😀",
          orderDate: "2026-11-22T21:42:39.413708Z",
          items: [{ itemId: "ITEM-1", quantity: 2, price_hundredths: 101 }],
          total_hundredths: 201,
          currency: "JPY",
        },
      }),
    );
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
