import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { kindOf, type OrderEvent } from "../../../../src/orders/events/kinds.ts";
import { evolve, initialState, type OrderState } from "../../../../src/orders/fold.ts";
import { formatCursor, parseCursor } from "../../../../src/services/orders/history/timeline-cursor.ts";
import { aChange, anEvent } from "../../../support/events/an-event.ts";
import { anOrder, statusChange } from "../../../support/events/orders.ts";
import { plainOrder } from "../../../support/events/plain-state.ts";

const created = anEvent.filter((event) => kindOf(event).isCreate).map((event) => evolve(initialState, event).state.order);

const passedOn = (state: OrderState): OrderState | undefined =>
  parseCursor(state.order?.created.orderId ?? "ORD-1", formatCursor({ partition: 3, offset: 7, state, counted: new Set() }))
    ?.state;

test("a cursor carries all of an order but its items, so that no outcome is told from less", () => {
  fc.assert(
    fc.property(created, (order) => {
      const state = { ...initialState, order };
      const carried = passedOn(state)?.order;
      expect(carried && plainOrder(carried)).toEqual(order && plainOrder({ ...order, created: { ...order.created, items: [] } }));
    }),
  );
});

test("and every change that waits for the create", () => {
  fc.assert(
    fc.property(fc.array(aChange, { maxLength: 100 }), (held) => {
      expect(passedOn({ ...initialState, held })).toEqual({ ...initialState, held });
    }),
  );
});

test("outcomes told over cursors, an event a page, are those of one fold", () => {
  fc.assert(
    fc.property(fc.array(anEvent, { maxLength: 20 }), (given) => {
      const events = given.map((event): OrderEvent => ({ ...event, orderId: "ORD-1" }));
      let whole = initialState;
      let paged = initialState;
      for (const event of events) {
        const next = evolve(whole, event);
        const again = evolve({ ...paged, eventIds: whole.eventIds }, event);
        expect(again.outcome).toBe(next.outcome);
        whole = next.state;
        paged = passedOn(again.state) ?? initialState;
      }
    }),
  );
});

test("the largest one fits a URL", () => {
  const long = "é".repeat(128);
  const order = anOrder({
    orderId: `ORD-${"9".repeat(64)}`,
    customerId: long,
    orderDate: "2026-11-22T21:42:39.413905123+02:00",
    items: [],
    total_hundredths: 1e14,
    status: "processing",
  });
  const counted = new Set(Array.from({ length: 1_000 }, (_, n) => 2 ** 47 + n));
  const held = Array.from({ length: 100 }, () => statusChange("processing"));
  for (const state of [
    { ...initialState, order },
    { ...initialState, held },
  ]) {
    const text = formatCursor({ partition: 999_999_999, offset: 1e14, state, counted });
    expect(text.length).toBeLessThan(12_000);
    expect(parseCursor(order.created.orderId, text)).toEqual({ partition: 999_999_999, offset: 1e14, state, counted });
  }
});

test("what is no cursor is refused", () => {
  const state = (carried: string) => `3.7.${Buffer.from(carried).toString("base64url")}.`;
  for (const none of [
    "",
    "3.7",
    "3.7.1.0.",
    state("{"),
    state("null"),
    state('{"held":[1]}'),
    state('{"held":["lost"]}'),
    state('{"held":[],"order":{"status":{"valueOf":1}}}'),
  ])
    expect({ none, parsed: parseCursor("ORD-1", none) }).toEqual({ none, parsed: undefined });
});
