import { writeChange } from "../../orders/events/kinds.ts";
import { type Order, orderJson } from "../../orders/order.ts";
import type { ServiceRow } from "./order-service-client.ts";
import type { ReferenceOrder } from "./reference-fold.ts";

/** The differences between a service's row of an order and the reference's, one sentence each. */
export function compareRow(orderId: string, row: ServiceRow | undefined, expected: ReferenceOrder | undefined): string[] {
  if (!expected) return row ? [`${orderId} is held and is not in the log`] : [];
  if (!row) return [`${orderId} is missing`];
  const differences: string[] = [];
  const differ = (what: string, has: unknown, should: unknown) => {
    const [shown, wanted] = [JSON.stringify(has), JSON.stringify(should)];
    if (shown !== wanted) differences.push(`${orderId} has ${what} ${shown}, and should have ${wanted}`);
  };
  const wanted = expected.order && answerOf(expected.order);
  if (!row.order || !wanted) differ("order", row.order ?? null, wanted ?? null);
  else for (const field of Object.keys({ ...wanted, ...row.order })) differ(field, row.order[field], wanted[field]);
  differ("held updates", row.held, expected.held.map(writeChange));
  differ("counted events", row.eventIds.toSorted(), [...expected.eventIds].toSorted());
  return differences;
}

/** What only the service's row has: whether its order is missing in the reference, and how many of its events are. */
export function onlyHeld(
  row: ServiceRow,
  expected: ReferenceOrder | undefined,
): { readonly isOrder: boolean; readonly events: number } {
  const events = row.eventIds.filter((id) => !expected?.eventIds.has(id)).length;
  return { isOrder: row.order !== null && expected?.order === undefined, events };
}

const answerOf = (order: Order): Readonly<Record<string, unknown>> => JSON.parse(orderJson(order)) as Record<string, unknown>;
