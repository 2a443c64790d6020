import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { EventIds, type Identified, readUuid, uuidText } from "../../src/orders/event-ids.ts";
import { anEventId } from "../support/events/an-event.ts";

/** The id as a decoder gives it, or as the scan does, which has read a UUID's bits already. */
function identified(eventId: string, isScanned: boolean): Identified {
  const uuid = { a: 0, b: 0, c: 0, d: 0 };
  return isScanned && readUuid(eventId, uuid) ? { eventId, uuid } : { eventId };
}

/** Few UUIDs and few texts, so that many are asked about twice; some differ in a digit or in case alone. */
const someId = fc.oneof(
  fc.nat(20).map((n) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`),
  fc.nat(20).map((n) => `${String(n).padStart(8, "0")}-0000-4000-8000-000000000000`),
  fc.constantFrom("ABCDEF00-0000-4000-8000-000000000000", "abcdef00-0000-4000-8000-000000000000"),
  fc.nat(20).map((n) => `e${n}`),
  anEventId,
);

describe("the ids of an order's events", () => {
  test("are a set that remembers in which order they came, UUIDs first, whoever gives them", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(someId, fc.boolean()), { maxLength: 80 }), (given) => {
        const model = new Set<string>();
        let ids = EventIds.none;
        for (const [eventId, isScanned] of given) {
          const event = identified(eventId, isScanned);
          expect(ids.has(event)).toBe(model.has(eventId));
          if (model.has(eventId)) continue;
          model.add(eventId);
          ids = ids.with(event);
        }
        const isUuid = (id: string) => /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(id);
        expect(ids.toArray()).toEqual([...[...model].filter(isUuid), ...[...model].filter((id) => !isUuid(id))]);
        expect(ids.uuidCount).toBe([...model].filter(isUuid).length);
      }),
      { numRuns: 500 },
    );
  });

  test("never change: what goes on from one value is not in it, nor in what else goes on from it", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), someId), { maxLength: 40 }), (steps) => {
        const values = [{ ids: EventIds.none, model: [] as string[] }];
        for (const [from, eventId] of steps) {
          const { ids, model } = values[from % values.length]!;
          if (!ids.has({ eventId })) values.push({ ids: ids.with({ eventId }), model: [...model, eventId] });
        }
        for (const { ids, model } of values) expect(ids.toArray().toSorted()).toEqual(model.toSorted());
      }),
    );
  });

  test("take as many bytes as they are long, however they came about", () => {
    const uuid = crypto.randomUUID();
    const ids = EventIds.none.with({ eventId: uuid }).with({ eventId: "abc" });
    expect(ids.bytes).toBe(16 + 3);
    expect(
      EventIds.of(
        Array.from({ length: 4 }, (_, n) => ids.word(n)),
        ids.texts,
      ).bytes,
    ).toBe(ids.bytes);
    expect(EventIds.of([], [])).toBe(EventIds.none);
  });
});

describe("a UUID", () => {
  test("is told from its bits as it was read", () => {
    fc.assert(
      fc.property(fc.uuid(), (text) => {
        const bits = { a: 0, b: 0, c: 0, d: 0 };
        expect(readUuid(text, bits)).toBe(true);
        expect(uuidText([bits.a, bits.b, bits.c, bits.d])).toBe(text);
        expect(uuidText([9, bits.a, bits.b, bits.c, bits.d], 1)).toBe(text);
      }),
    );
  });

  test.each([
    "",
    "6F8A2C1E-0000-4000-8000-000000000001",
    "6f8a2c1e-0000-4000-8000-00000000001",
    "6f8a2c1e-0000-4000-8000-0000000000012",
    "6f8a2c1e00000-4000-8000-000000000001",
    "6f8a2c1e-0000-4000-8000-00000000000g",
    "6f8a2c1-e0000-4000-8000-000000000001",
    "{6f8a2c1e-0000-4000-8000-00000000001}",
  ])("is not %p, which is a text like any other", (text) => {
    expect(readUuid(text, { a: 0, b: 0, c: 0, d: 0 })).toBe(false);
    expect(EventIds.none.with({ eventId: text }).toArray()).toEqual([text]);
  });
});
