import type { NewRecord } from "../../../src/log/port.ts";
import { encodeEvent } from "../../../src/orders/events/encode.ts";
import { runReplay } from "../../../src/tools/replay/replay-command.ts";
import { orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { type ExactRecord, headerOf } from "../../support/events/records.ts";
import { contentOf, type OperationsRig } from "../rig.ts";

export const PARTITIONS = 12;
export const FIRST_MS = Date.parse("2026-11-25T00:00:00Z");

/**
 * The n-th record of a topic of 30 orders with records of every kind, a second after the one before. Every ninth is an
 * hour older.
 */
export function nth(n: number): NewRecord {
  const orderId = `ORD-${n % 30}`;
  const event =
    n < 30 ? orderCreated({ orderId, eventId: `c${n}` }) : statusUpdated({ orderId, eventId: `u${n}`, status: "shipped" });
  const value = n % 17 === 3 ? `poison ${n}` : n % 19 === 5 ? null : encodeEvent(event);
  return {
    partition: (n % 30) % PARTITIONS,
    key: n % 23 === 7 ? null : orderId,
    value,
    timestamp_ms: FIRST_MS + n * 1_000 - (n % 9 === 0 ? 3_600_000 : 0),
    headers:
      n % 2 === 0
        ? [
            ["d", "1"],
            ["n", null],
            ["d", "2"],
            ["ce_type", event.type],
          ]
        : [],
  };
}
export const some = (count: number, from = 0) => Array.from({ length: count }, (_, i) => nth(from + i));

/** The records meant, in the order of partitions and offsets, as the log gives them. */
export const expectedOf = (records: readonly ExactRecord[], isMeant: (record: ExactRecord) => boolean) =>
  records.filter(isMeant).map((record) => ({ ...contentOf(record), from: record.offset }));
export const arrivedIn = (records: readonly ExactRecord[]) =>
  records.map((record) => ({ ...contentOf(record), from: Number(headerOf(record, "x-replayed-from-offset")) }));

export const replay = (rig: OperationsRig, args = "", more: Parameters<OperationsRig["run"]>[2] = {}) =>
  rig.run(runReplay, args, more);
