import { drainMicrotasks } from "bun:jsc";
import type { Database } from "bun:sqlite";
import type { LogRecord } from "../../src/log/port.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../src/services/orders/slices.ts";
import { PartitionStore } from "../../src/runtime/store/store.ts";
import { foldPartition, type ReferencePartition } from "../reference/reference.ts";
import { compareRows, Violation } from "../reference/violation.ts";
import { auditIndex, type Stored } from "./audit-index.ts";
import { Disk } from "./memory-state.ts";
import { loggedFields } from "./records.ts";
import { type Instance, TOPIC, type World } from "./world.ts";

type Position = [partition: number, nextOffset: number];

/**
 * Compares every store of every process, including those of partitions that it lost long ago, with the prefix of the
 * log that the store's position names: all columns of all rows, and nothing else. It also compares every owner's
 * digest with that of a new store that folded the log in other batches. Throws a Violation.
 */
export function auditStores(world: World): void {
  const log = world.broker.topics.topic(TOPIC).map(({ entries }, partition) => storedRecords(partition, entries));
  const references = new Map<string, readonly string[]>();
  const rowsOfPrefix = ([partition, nextOffset]: Position): readonly string[] => {
    const name = `${partition}:${nextOffset}`;
    const rows = references.get(name) ?? referenceRows(foldPartition(prefixOf(log[partition], nextOffset)));
    references.set(name, rows);
    return rows;
  };
  for (const instance of world.instances) {
    const { name, role, disk } = instance;
    for (const [file, db] of disk.files()) {
      const positions = db.query("SELECT partition, next_offset FROM position ORDER BY partition").values() as Position[];
      if (positions.some((position) => mayHaveGhosts(world, instance, position))) continue;
      const where = `${name}'s ${file} at ${positions.map((position) => position.join(":")).join()}`;
      if (role === "order-service") {
        compareRows("stores-are-prefixes", where, orderRows(db), rowsOfPrefix(positions[0] ?? [0, 0]));
      } else {
        auditIndex(where, db, positions.map(([partition, nextOffset]) => prefixOf(log[partition], nextOffset)).flat());
      }
    }
  }
  auditDigests(world, log);
}

/** Whether the store may have applied what the log has lost since, and nobody answers from it. */
function mayHaveGhosts(world: World, { running }: Instance, [partition, nextOffset]: Position): boolean {
  if (nextOffset <= world.losses.firstLostOffset(partition)) return false;
  const held = (running?.cart ?? running?.orders)?.partitions.get(partition);
  return held === undefined || held.state === "halted";
}

const storedRecords = (partition: number, entries: readonly (LogRecord | null)[]): Stored[] =>
  entries.flatMap((record, offset) => (record === null ? [] : [{ partition, offset, ...loggedFields(record), record }]));

const prefixOf = (records: readonly Stored[] = [], nextOffset: number): readonly Stored[] =>
  records.filter(({ offset }) => offset < nextOffset);

/** All that a row has; `spilled` counts the rows of the other table. */
const COLUMNS = "order_id,customer_id,order_date,items,total_hundredths,currency,status,held,event_ids,spilled";

/** One line per order; the ids of its events are compared as a set. */
function orderRows(db: Database): string[] {
  const spilled = new Map<string, string[]>();
  const spilledRows = db.query("SELECT order_id, event_id FROM spilled_event_ids").values() as [string, string][];
  for (const [orderId, eventId] of spilledRows) spilled.set(orderId, [...(spilled.get(orderId) ?? []), eventId]);
  const columns = db.query("SELECT group_concat(name) FROM pragma_table_info('orders')").values()[0]?.[0];
  if (columns !== COLUMNS) throw new Error(`The orders have the columns ${String(columns)}; compare those, too.`);
  const rows = db
    .query(
      `SELECT order_id, held, event_ids, customer_id, order_date, items, total_hundredths, currency, status
       FROM orders ORDER BY order_id`,
    )
    .values() as [string, string, string, ...(string | number | null)[]][];
  return rows.map(([orderId, held, eventIds, ...order]) => {
    const ids = [...eventIds.split("\n"), ...(spilled.get(orderId) ?? [])].filter((id) => id !== "");
    return line(orderId, order, held === "" ? [] : held.split(" "), ids);
  });
}

function referenceRows({ orders, held, counted }: ReferencePartition): string[] {
  const ids = new Map<string, string[]>();
  for (const once of counted) {
    const [orderId = "", eventId = ""] = once.split(" ");
    ids.set(orderId, [...(ids.get(orderId) ?? []), eventId]);
  }
  return [...ids.keys()].toSorted().map((orderId) => {
    const order = orders.get(orderId);
    const columns = order
      ? [
          order.customerId,
          order.orderDate,
          JSON.stringify(order.items.map(({ itemId, quantity, price }) => [itemId, quantity, Math.round(price * 100)])),
          Math.round(order.totalAmount * 100),
          order.currency,
          order.status,
        ]
      : [null, null, null, null, null, null];
    return line(orderId, columns, held.get(orderId) ?? [], ids.get(orderId) ?? []);
  });
}

const line = (
  orderId: string,
  order: readonly (string | number | null)[],
  held: readonly string[],
  ids: readonly string[],
): string => JSON.stringify([orderId, order, held, ids.toSorted()]);

function auditDigests(world: World, log: readonly (readonly Stored[])[]): void {
  for (const { orders, owner } of world.running("order-service")) {
    for (const { partition, digest, state } of orders?.partitions.held() ?? []) {
      if (state === "halted") continue;
      const disk = new Disk();
      const { db } = disk.open("fresh", ORDER_SERVICE_PROJECTIONS, { logId: world.broker.id, topic: TOPIC });
      const fresh = new PartitionStore(db, ORDER_SERVICE_PROJECTIONS, partition, () => undefined);
      for (let records = log[partition] ?? []; records.length > 0;) {
        const batch = records.slice(0, 1 + Math.floor(world.random() * 20));
        for (const { record } of batch) fresh.projections.fold(record);
        fresh.commit((batch.at(-1)?.offset ?? 0) + 1, undefined);
        records = records.slice(batch.length);
      }
      drainMicrotasks();
      const [found, expected] = [digest, fresh.projections.digest];
      disk.lose();
      if (found !== expected)
        throw new Violation("digests-agree", `partition ${partition} at ${owner.name} has ${found}, and folded anew ${expected}`);
    }
  }
}
