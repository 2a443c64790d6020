import { describe, expect, test } from "bun:test";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import type { TObject } from "@sinclair/typebox";
import * as fc from "fast-check";
import { decodeEvent } from "../../../src/orders/events/decode.ts";
import { isPoison } from "../../../src/orders/events/poison.ts";
import { eventSchema } from "../../../src/orders/events/schema.ts";
import { EVENT_KINDS, EVENT_TYPES } from "../../../src/orders/events/kinds.ts";
import { eventHeadersSchema } from "../../../src/api/asyncapi.ts";
import { eventHeaders } from "../../../src/services/cart/commands/event-headers.ts";
import { anEvent } from "../../support/events/an-event.ts";
import { orderCreated, type Wire, wireOf } from "../../support/events/orders.ts";
import { valuesOf } from "../../support/events/schema-arbitrary.ts";

const ajv = new Ajv({ strict: false });
addFormats.default(ajv);
const schemas = new Map<string, TObject>(EVENT_KINDS.map((kind) => [kind.type, eventSchema(kind)]));
const checks = new Map([...schemas].map(([type, schema]) => [type, ajv.compile(schema)]));

const isValid = (wire: Wire): boolean => checks.get(wire.event_type)?.(wire) === true;
const isTaken = (wire: Wire): boolean => !isPoison(decodeEvent(Buffer.from(wire.order_id), Buffer.from(JSON.stringify(wire))));

const created = wireOf(orderCreated());
const withOrder = (fields: Record<string, unknown>): Wire => ({ ...created, order: { ...created.order, ...fields } });

describe("the schema of events", () => {
  test("allows what the encoder writes, and its headers", () => {
    const checkHeaders = ajv.compile({ ...eventHeadersSchema, additionalProperties: false });
    fc.assert(
      fc.property(anEvent, (event) => {
        const wire = wireOf(event);
        expect({ wire, errors: isValid(wire) ? undefined : checks.get(wire.event_type)?.errors }).toEqual({
          wire,
          errors: undefined,
        });
        const traceparent = `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`;
        const headers = Object.fromEntries(eventHeaders(event, "/cart-service", traceparent));
        expect(checkHeaders(headers) ? undefined : checkHeaders.errors).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  test.each(EVENT_TYPES)("allows nothing of %s that the decoder does not take", (type) => {
    const values = valuesOf(JSON.parse(JSON.stringify(schemas.get(type))) as Record<string, unknown>) as fc.Arbitrary<Wire>;
    fc.assert(
      fc.property(values, (wire) => {
        // A schema cannot say that two fields are equal.
        if (wire.order) wire.order["order_id"] = wire.order_id;
        expect({ wire, isValid: isValid(wire) }).toEqual({ wire, isValid: true });
        expect({ wire, decoded: decodeEvent(Buffer.from(wire.order_id), Buffer.from(JSON.stringify(wire))) }).toMatchObject({
          decoded: { type },
        });
      }),
      { numRuns: 1_000 },
    );
  });

  const longest = "𝒳".repeat(128);
  test.each<[what: string, wire: Wire, valid: boolean, taken: boolean]>([
    ["what both take", created, true, true],
    ["a date without a zone", { ...created, timestamp: "2026-11-22T21:42:39.413905" }, false, true],
    ["a date with a space", withOrder({ order_date: "2026-11-22 21:42:39Z" }), false, true],
    ["a date in lower case", withOrder({ order_date: "2026-11-22t21:42:39z" }), false, true],
    ["an amount that rounding brings within the bounds", withOrder({ total_amount: 1_000_000_000_000.004 }), false, true],
    ["another order within", withOrder({ order_id: "ORD-2" }), true, false],
    ["half of a surrogate pair", withOrder({ customer_id: "caf\ud83d" }), false, false],
    ["128 characters that are 256 code units", withOrder({ customer_id: longest }), true, false],
    ["30 February", { ...created, timestamp: "2026-02-30T21:42:39Z" }, false, false],
    ["a leap second", { ...created, timestamp: "2016-12-31T23:59:60Z" }, false, false],
    ["a quantity of 0", withOrder({ items: [{ item_id: "A", quantity: 0, price: 1 }] }), false, false],
    ["an id with a control character", { ...created, event_id: "a\u0085" }, false, false],
    ["a currency in lower case", withOrder({ currency: "usd" }), false, false],
    ["an unknown status", withOrder({ status: "lost" }), false, false],
  ])("and the decoder on %s", (_, wire, valid, taken) => {
    expect({ valid: isValid(wire), taken: isTaken(wire) }).toEqual({ valid, taken });
  });
});
