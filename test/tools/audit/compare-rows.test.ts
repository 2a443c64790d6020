import { expect, test } from "bun:test";
import { orderJson } from "../../../src/orders/order.ts";
import { compareRow } from "../../../src/tools/audit/compare-rows.ts";
import { anOrder } from "../../support/events/orders.ts";

test("a field that only one of the two rows has is a difference, whichever it is", () => {
  const order = anOrder();
  const shown = JSON.parse(orderJson(order)) as Record<string, unknown>;
  const { currency, ...withoutCurrency } = shown;
  const differences = (row: Record<string, unknown>) =>
    compareRow(
      "ORD-1",
      { orderId: "ORD-1", order: row, held: [], eventIds: [] },
      { orderId: "ORD-1", order, held: [], eventIds: new Set<string>() },
    );
  expect(differences(shown)).toEqual([]);
  expect(differences(withoutCurrency)).toEqual([`ORD-1 has currency undefined, and should have "${String(currency)}"`]);
  expect(differences({ ...shown, note: "x" })).toEqual(['ORD-1 has note "x", and should have undefined']);
});
