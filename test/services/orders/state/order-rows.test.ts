import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { initialState, type OrderState } from "../../../../src/orders/fold.ts";
import { type Order, ORDER_FIELDS } from "../../../../src/orders/order.ts";
import { OrderRows, ORDERS_TABLE } from "../../../../src/services/orders/state/order-rows.ts";
import { aChange } from "../../../support/events/an-event.ts";
import { anOrder } from "../../../support/events/orders.ts";

const order = anOrder();
const created: OrderState = { order, held: [], eventIds: "\na\n" };

function rows(): OrderRows {
  const db = new Database(":memory:", { strict: true });
  db.run(ORDERS_TABLE);
  return new OrderRows(db);
}

/** Another value of each field; the compiler asks for one where a field is new. */
const others: { readonly [F in keyof Omit<Order, "orderId">]-?: Order[F] } = {
  customerId: "CUST-2",
  orderDate: "2026-11-23T00:00:00+02:00",
  items: [],
  total_hundredths: 2_000,
  currency: "EUR",
  status: "shipped",
};

test.each(Object.keys(others) as (keyof typeof others)[])("a change of an order's %s alone is written", (field) => {
  const kept = rows();
  kept.write("ORD-1", undefined, created, 0);
  const changed: OrderState = { order: { ...order, [field]: others[field] }, held: [], eventIds: "\na\nb\n" };
  kept.write("ORD-1", created, changed, 3);
  expect(kept.find("ORD-1")).toEqual({ state: changed, spilled: 3 });
});

test("every field of an order is tried above", () => {
  expect(["orderId", ...Object.keys(others)]).toEqual(Object.keys(ORDER_FIELDS));
});

test("changes that wait are read as they were written, and their create is written over them", () => {
  fc.assert(
    fc.property(fc.array(aChange, { minLength: 1, maxLength: 100 }), (held) => {
      const kept = rows();
      const waiting: OrderState = { ...initialState, held, eventIds: "\nb\n" };
      kept.write("ORD-1", undefined, waiting, 0);
      expect(kept.find("ORD-1")).toEqual({ state: waiting, spilled: 0 });
      kept.write("ORD-1", waiting, created, 0);
      expect(kept.find("ORD-1")).toEqual({ state: created, spilled: 0 });
    }),
  );
});

test("a row whose waiting changes cannot be read is a damaged one", () => {
  const db = new Database(":memory:", { strict: true });
  db.run(ORDERS_TABLE);
  db.run("INSERT INTO orders (order_id, held, event_ids, spilled) VALUES ('ORD-1', 'shipped lost', '', 0)");
  expect(() => new OrderRows(db).find("ORD-1")).toThrow("the held updates of ORD-1 cannot be read");
});
