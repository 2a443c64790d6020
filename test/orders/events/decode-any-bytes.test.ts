import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { decodeEvent } from "../../../src/orders/events/decode.ts";
import { encodeEvent } from "../../../src/orders/events/encode.ts";
import { isPoison } from "../../../src/orders/events/poison.ts";
import { anEvent } from "../../support/events/an-event.ts";
import { decodeText, KEY, wireCreated, wireOrder, wireUpdated } from "./samples.ts";

const decodesOrSaysWhy = (key: Buffer | null, value: Buffer | null) => {
  const decoded = decodeEvent(key, value);
  if (isPoison(decoded)) expect(decoded.detail.length).toBeLessThan(200);
  // An event that is let through is whole: it survives encoding and decoding again.
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
