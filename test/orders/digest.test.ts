import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { orderProjection } from "../../src/services/orders/state/order-projection.ts";
import {
  changedFacts,
  DIGEST_MODULUS,
  DIGEST_NUMBERS,
  digestOf,
  digestSum,
  eventFact,
  formatDigest,
  heldFact,
  orderFacts,
} from "../../src/orders/digest.ts";
import type { OrderEvent } from "../../src/orders/events/kinds.ts";
import { type Order, ORDER_FIELDS, type OrderFields, orderFields, STATUSES } from "../../src/orders/order.ts";
import { MemoryFiles } from "../support/stores/memory-files.ts";
import { aCreatedOrder, anOrder, logRecordOf, orderCreated, statusChange, statusUpdated } from "../support/events/orders.ts";

const orderIds = fc.constantFrom("ORD-1", "ORD-2", "ORD-3");
const eventIds = fc.integer({ min: 0, max: 60 }).map((n) => `e${n}-${"x".repeat(100)}`);
const events: fc.Arbitrary<OrderEvent> = fc.oneof(
  fc
    .record({ orderId: orderIds, eventId: eventIds, customerId: fc.constantFrom("C1", "C2") })
    .map(({ customerId, ...head }) => orderCreated({ ...head, order: { customerId } })),
  fc.record({ orderId: orderIds, eventId: eventIds, status: fc.constantFrom(...STATUSES) }).map(statusUpdated),
);

/** The store after the whole log, kept wherever `cuts` is true. */
function folded(log: readonly OrderEvent[], cuts: (offset: number) => boolean) {
  const store = orderProjection.open(new MemoryFiles([orderProjection]), 0);
  for (const [offset, event] of log.entries()) {
    store.fold(logRecordOf(event, offset));
    if (cuts(offset)) store.keep();
  }
  store.keep();
  return store;
}

describe("the digest that is kept", () => {
  test("is that of the rows, however the log was cut, also where event ids have left their row (I3)", () => {
    const logs = fc.array(events, { maxLength: 200 });
    fc.assert(
      fc.property(logs, fc.integer({ min: 1, max: 50 }), (log, every) => {
        const whole = folded(log, () => false);
        const cut = folded(log, (offset) => offset % every === 0);
        expect(cut.digest).toBe(whole.digest ?? "");
        expect(whole.digest).toBe(digestOf(whole.view.rowsAfter("", 1_000)));
        expect(cut.view.rowsAfter("", 10).map((row) => ({ ...row, eventIds: row.eventIds.toSorted() }))).toEqual(
          whole.view.rowsAfter("", 10).map((row) => ({ ...row, eventIds: row.eventIds.toSorted() })),
        );
      }),
      { numRuns: 150 },
    );
  });

  test("as is the number of updates that wait", () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (log, every) => {
        const { view } = folded(log, (offset) => offset % every === 0);
        expect(view.counts().held).toBe(view.rowsAfter("", 1_000).reduce((sum, { held }) => sum + held.length, 0));
      }),
    );
  });

  test("forgets what was folded and not kept", () => {
    const shipped = statusUpdated({ status: "shipped" });
    const log = [orderCreated(), shipped];
    const store = folded(log.slice(0, 1), () => false);
    const before = store.digest;
    store.fold(logRecordOf(shipped, 1));
    store.reset();
    store.keep();
    expect(store.digest).toBe(before ?? "");
    store.fold(logRecordOf(shipped, 1));
    store.keep();
    expect(store.digest).toBe(folded(log, () => false).digest ?? "");
    expect(store.digest).not.toBe(before);
  });
});

test("equal facts are equal numbers for ever: another version of the program must tell the same digest", () => {
  const before = anOrder({
    customerId: "CUST-1",
    items: [{ itemId: "A", quantity: 2, price_hundredths: 995 }],
    total_hundredths: 1_990,
    currency: "EUR",
  });
  const shipped: Order = { ...before, status: "shipped" };
  const created = digestSum(orderFacts(before), -0x9d8c72dbd9b62);
  expect(formatDigest(digestSum(changedFacts(before, shipped), created))).toBe("d49d5822e4ea6");
  expect(formatDigest(heldFact("ORD-1", [statusChange("shipped"), statusChange("pending")]))).toBe("8d9eef57e1bcb");
  expect(formatDigest(eventFact("ORD-1", "e"))).toBe("f789835aaf8e8");
  expect(heldFact("ORD-1", [])).toBe(0);
});

const another = (value: unknown): unknown =>
  typeof value === "number" ? value + 1 : Array.isArray(value) ? [] : `${String(value)}1`;

test.each(Object.keys(ORDER_FIELDS) as (keyof OrderFields)[])(
  "an order that differs in its %s alone has another digest",
  (field) => {
    const before = anOrder();
    const after = anOrder({ [field]: another(aCreatedOrder()[field]) });
    expect(orderFacts(after)).not.toBe(orderFacts(before));
    if (ORDER_FIELDS[field].fact !== "created")
      expect(digestSum(orderFacts(before), changedFacts(before, after))).toBe(orderFacts(after));
  },
);

test("a sum stays below the modulus, and what is taken away again is gone", () => {
  const facts = fc.integer({ min: 0, max: DIGEST_MODULUS - 1 });
  fc.assert(
    fc.property(facts, facts, (digest, fact) => {
      const sum = digestSum(digest, fact);
      expect(sum).toBeGreaterThanOrEqual(0);
      expect(sum).toBeLessThan(DIGEST_MODULUS);
      expect(digestSum(sum, -fact)).toBe(digest);
    }),
  );
});

test("no two kinds of facts have one number", () => {
  const ofFields = orderFields.flatMap(({ fact }) => (fact === "created" ? [] : [fact.number]));
  const numbers = [...Object.values<number>(DIGEST_NUMBERS), ...ofFields];
  expect(numbers).toEqual([...new Set(numbers)]);
});
