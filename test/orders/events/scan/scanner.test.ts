import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { decodeEvent } from "../../../../src/orders/events/decode.ts";
import { encodeEvent } from "../../../../src/orders/events/encode.ts";
import { anEvent } from "../../../support/events/an-event.ts";
import { orderCreated, statusUpdated } from "../../../support/events/orders.ts";
import { pythonCreate, pythonUpdate } from "../../../support/events/python-events.ts";
import { aWireText } from "../../../support/events/wire-texts.ts";
import { anyRecord } from "./mutations.ts";
import { scanned, scanner } from "./scans.ts";

const decoded = (key: string, value: string) => decodeEvent(Buffer.from(key), Buffer.from(value));

/** Whether the encoder writes the text as it is. */
const isPlain = (text: string) => /^[ !#-[\]-~]*$/.test(text);

const KEY_CHARS_MAX = "ORD-".length + 14;

describe("the scan", () => {
  test("takes what JSON.stringify and json.dumps write, and says what the decoder says", () => {
    fc.assert(
      fc.property(aWireText, ({ orderId, text }) => {
        expect(scanned(orderId, text)).toEqual(decoded(orderId, text) as never);
      }),
      { numRuns: 2_000 },
    );
  });

  test("takes what the encoder writes, if its texts are plain and the order id has a key", () => {
    fc.assert(
      fc.property(anEvent, (event) => {
        const texts = event.type === "ORDER_CREATED" ? [event.order.customerId, ...event.order.items.map((i) => i.itemId)] : [];
        const isTaken = [event.eventId, ...texts].every(isPlain) && event.orderId.length <= KEY_CHARS_MAX;
        expect(scanned(event.orderId, encodeEvent(event))).toEqual(isTaken ? event : undefined);
      }),
      { numRuns: 2_000 },
    );
  });

  test("takes what the Python predecessor writes", () => {
    const create = pythonCreate("ORD-1", "b4b4ad0a-0ac4-41a4-ae9c-6c2a1b8a7f10");
    expect(scanned("ORD-1", create)).toEqual(decoded("ORD-1", create) as never);
    const update = pythonUpdate("ORD-1", "shipped", "b4b4ad0a-0ac4-41a4-ae9c-6c2a1b8a7f10");
    expect(scanned("ORD-1", update)).toEqual(decoded("ORD-1", update) as never);
  });

  test("takes nothing that the decoder refuses or understands otherwise, whatever the record is", () => {
    let taken = 0;
    let cases = 0;
    fc.assert(
      fc.property(anyRecord, ({ key, value }) => {
        cases++;
        const said = scanned(key, value);
        if (said === undefined) return;
        taken++;
        expect(said).toEqual(decodeEvent(key, value) as never);
      }),
      { numRuns: 10_000 },
    );
    // Else nothing would be shown.
    expect(taken / cases).toBeGreaterThan(0.2);
  });

  test("does not depend on the bytes around key and value", () => {
    const around = fc.tuple(
      ...Array.from({ length: 3 }, () => fc.constantFrom("", "0", '"', "}", "ORD-1", 'new"}}', " ")),
    ) as fc.Arbitrary<[string, string, string]>;
    fc.assert(
      fc.property(anyRecord, around, ({ key, value }, others) => {
        expect(scanned(key, value, others)).toEqual(scanned(key, value) as never);
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([encodeEvent(orderCreated()), encodeEvent(statusUpdated()), pythonCreate("ORD-1"), pythonUpdate("ORD-1", "new")])(
    "reads nothing behind the value, though the event goes on there: %p",
    (text) => {
      expect(scanned("ORD-1", text)).toBeDefined();
      for (let cut = 0; cut < text.length; cut++) {
        expect(scanned("ORD-1", text.slice(0, cut), ["", "", text.slice(cut)])).toBeUndefined();
        expect(scanned("ORD-1", text.slice(0, cut))).toBeUndefined();
      }
    },
  );

  test("reads nothing behind the key, though the order id goes on there", () => {
    const text = encodeEvent(statusUpdated({ orderId: "ORD-123" }));
    expect(scanned("ORD-123", text)).toBeDefined();
    for (const key of ["", "O", "ORD", "ORD-", "ORD-1", "ORD-12"]) {
      expect(scanned(key, text, ["", "ORD-123".slice(key.length), ""])).toBeUndefined();
    }
    expect(scanned(null, text)).toBeUndefined();
  });

  test.each([
    ["b4b4ad0a-0ac4-41a4-ae9c-6c2a1b8a7f10", true],
    ["B4B4AD0A-0AC4-41A4-AE9C-6C2A1B8A7F10", false],
    ["b4b4ad0a-0ac4-41a4-ae9c-6c2a1b8a7f10-1", false],
    ["b4b4ad0a", false],
  ])("tells of the event id %s whether it is a UUID: %p", (eventId, isUuid) => {
    const event = statusUpdated({ eventId });
    expect(scanned("ORD-1", encodeEvent(event))).toEqual(event);
    expect(scanner.event.isUuid).toBe(isUuid);
  });

  test("takes up to 1,000 items", () => {
    const item = { itemId: "I", quantity: 1, price_hundredths: 1 };
    const create = (items: number) => orderCreated({ order: { items: Array.from({ length: items }, () => item) } });
    for (const items of [0, 1, 16, 17, 1_000]) expect(scanned("ORD-1", encodeEvent(create(items)))).toEqual(create(items));
    expect(scanned("ORD-1", encodeEvent(create(1_001)))).toBeUndefined();
  });
});
