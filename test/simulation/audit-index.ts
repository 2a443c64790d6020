import { EVENT_HEADERS } from "../../src/log/record-headers.ts";
import { orderIdOfKey } from "../../src/orders/order-key.ts";
import { SortedRuns } from "../../src/runtime/store/runs/sorted-runs.ts";
import type { StoreFiles } from "../../src/runtime/store/store-files.ts";
import { type IndexEntry, readEntry } from "../../src/services/cart/index/index-record.ts";
import { compareRows } from "../reference/violation.ts";
import type { Stored } from "./prefixes.ts";

/**
 * Compares a cart's index with the records it has read, which are given in order of partition and offset. An order's
 * row must be its first create in the lowest partition that has one. The row of an idempotency key must be, for each
 * order, the first event of some partition. Throws a Violation.
 */
export function auditIndex(where: string, files: StoreFiles, read: readonly Stored[]): void {
  const orders = new Map<string, string>();
  const keys = new Map<string, { readonly partition: number; readonly row: string }[]>();
  for (const { partition, offset, value, isPoison, record } of read) {
    if (isPoison) continue;
    const event = JSON.parse(value) as { event_id: string; event_type: string; order_id: string };
    const row = `${event.order_id} ${event.event_id} ${partition}:${offset}`;
    if (event.event_type === "ORDER_CREATED" && !orders.has(event.order_id)) orders.set(event.order_id, row);
    const fingerprint = record.headers().find(([name]) => name === EVENT_HEADERS.fingerprint)?.[1];
    const key = `${event.event_id} ${event.order_id}`;
    const ofKey = keys.get(key) ?? [];
    if (!fingerprint || ofKey.some((earlier) => earlier.partition === partition)) continue;
    keys.set(key, [...ofKey, { partition, row: `${row} ${String(Buffer.from(fingerprint))}` }]);
  }
  compareRows("index-is-a-prefix", where, orderRows(files).toSorted(), [...orders.values()].toSorted());

  // Only the cart knows which partition's event it read first.
  const keyRows = (files.db.query(`SELECT ${AT} || ' ' || fingerprint FROM keyed_events`).values() as [string][]).flat();
  const found = new Set(keyRows);
  const expected = [...keys.values()].map((ofKey) => {
    const rows = ofKey.map(({ row }) => row);
    return rows.find((row) => found.has(row)) ?? rows.join(" or ");
  });
  compareRows("index-is-a-prefix", where, keyRows.toSorted(), expected.toSorted());
}

const AT = `order_id || ' ' || event_id || ' ' || partition || ':' || "offset"`;

/** A line for each order that is saved. */
function orderRows(files: StoreFiles): string[] {
  const { db } = files;
  const rows = (db.query(`SELECT ${AT} FROM long_orders`).values() as [string][]).flat();
  const cursor = new SortedRuns(db, files.bytes("records"), "order_index").scan(-1);
  while (cursor.next()) rows.push(rowOf(orderIdOfKey(cursor.key), readEntry(cursor.bytes, cursor.from, cursor.to)));
  return rows;
}

const rowOf = (orderId: string, entry: IndexEntry): string => `${orderId} ${entry.eventId} ${entry.partition}:${entry.offset}`;
