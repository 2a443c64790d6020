import type { Database } from "bun:sqlite";
import { EVENT_HEADERS } from "../../src/log/record-headers.ts";
import type { LogRecord } from "../../src/log/port.ts";
import type { LoggedRecord } from "../reference/reference.ts";
import { compareRows } from "../reference/violation.ts";

/** A record as the log has it, together with what the reference reads of it. */
export interface Stored extends LoggedRecord {
  readonly record: LogRecord;
}

/**
 * Compares a cart's index with the records it has read, which are given in order of partition and offset. An order's
 * row must be its first create in the lowest partition that has one. The row of an idempotency key must be, for each
 * order, the first event of some partition. Throws a Violation.
 */
export function auditIndex(where: string, db: Database, read: readonly Stored[]): void {
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
  const at = `order_id || ' ' || event_id || ' ' || partition || ':' || "offset"`;
  const orderRows = db.query(`SELECT ${at} FROM order_index`).values() as [string][];
  compareRows("index-is-a-prefix", where, orderRows.flat().toSorted(), [...orders.values()].toSorted());

  // Only the cart knows which partition's event it read first.
  const keyRows = (db.query(`SELECT ${at} || ' ' || fingerprint FROM keyed_events`).values() as [string][]).flat();
  const found = new Set(keyRows);
  const expected = [...keys.values()].map((ofKey) => {
    const rows = ofKey.map(({ row }) => row);
    return rows.find((row) => found.has(row)) ?? rows.join(" or ");
  });
  compareRows("index-is-a-prefix", where, keyRows.toSorted(), expected.toSorted());
}
