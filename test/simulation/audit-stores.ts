import type { Database } from "bun:sqlite";
import { FINGERPRINT_HEADER } from "../../src/cart/index-projection.ts";
import type { LogRecord } from "../../src/log/log.ts";
import { orderProjection } from "../../src/order-service/order-projection.ts";
import { PartitionStore } from "../../src/partitions/store.ts";
import { Disk } from "./memory-state.ts";
import { foldPartition, type LoggedRecord, type ReferencePartition } from "./reference.ts";
import { Violation } from "./violation.ts";
import { TOPIC, type World } from "./world.ts";

/**
 * Holds every store of every process, also of partitions that it lost long ago, to the prefix of the log that its position names: all
 * columns of all rows, and nothing else. And every owner's digest to that of a new store that folded the log in other batches. Throws a
 * Violation.
 */
export function auditStores(world: World): void {
  const partitions = world.broker.topics
    .topic(TOPIC)
    .map(({ entries }) => entries.filter((entry): entry is LogRecord => entry !== null));
  const references = new Map<string, ReferencePartition>();
  const referenceOf = (partition: number, nextOffset: number): ReferencePartition => {
    const name = `${partition}:${nextOffset}`;
    let reference = references.get(name);
    if (!reference)
      references.set(name, (reference = foldPartition(prefixOf(partitions, partition, nextOffset).map(logged(partition)))));
    return reference;
  };
  for (const { name, role, disk } of world.instances) {
    for (const [file, db] of disk.files()) {
      const positions = db.query("SELECT partition, next_offset FROM position ORDER BY partition").values() as [number, number][];
      if (role === "order-service") {
        const [partition, nextOffset] = positions[0] ?? [0, 0];
        const where = `${name}'s ${file} at offset ${nextOffset}`;
        compare("stores-are-prefixes", where, orderRows(db), referenceRows(referenceOf(partition, nextOffset)));
      } else {
        const prefixes = positions.map(([partition, nextOffset]) => prefixOf(partitions, partition, nextOffset));
        const at = positions.map(([partition, nextOffset]) => `${partition}:${nextOffset}`).join();
        auditIndex(
          `${name}'s index at ${at}`,
          db,
          positions.map(([partition]) => partition),
          prefixes,
        );
      }
    }
  }
  auditDigests(world, partitions);
}

const prefixOf = (partitions: readonly (readonly LogRecord[])[], partition: number, nextOffset: number): readonly LogRecord[] =>
  partitions[partition]?.filter(({ offset }) => offset < nextOffset) ?? [];

const logged =
  (partition: number) =>
  ({ offset, key, value }: LogRecord): LoggedRecord => ({ partition, offset, key: String(key), value: String(value) });

function compare(invariant: string, where: string, found: readonly string[], expected: readonly string[]): void {
  const at = expected.findIndex((row, n) => row !== found[n]);
  if (at < 0 && found.length === expected.length) return;
  const n = at < 0 ? expected.length : at;
  throw new Violation(
    invariant,
    `${where} has ${found[n] ?? "no more rows"}, where the log's prefix gives ${expected[n] ?? "no more"}`,
  );
}

type OrderRow = [
  string,
  string | null,
  string | null,
  string | null,
  number | null,
  string | null,
  string | null,
  string,
  string,
];

/** One line an order; the ids of its events as a set. */
function orderRows(db: Database): string[] {
  const spilled = new Map<string, string[]>();
  const spilledRows = db.query("SELECT order_id, event_id FROM spilled_event_ids").values() as [string, string][];
  for (const [orderId, eventId] of spilledRows) spilled.set(orderId, [...(spilled.get(orderId) ?? []), eventId]);
  const rows = db
    .query(
      "SELECT order_id, customer_id, order_date, items, total_hundredths, currency, status, held, event_ids FROM orders ORDER BY order_id",
    )
    .values() as OrderRow[];
  return rows.map(([orderId, customerId, orderDate, items, total, currency, status, held, eventIds]) => {
    const ids = [...eventIds.split("\n"), ...(spilled.get(orderId) ?? [])].filter((id) => id !== "").toSorted();
    const order = customerId === null ? null : [customerId, orderDate, JSON.parse(items ?? ""), total, currency, status];
    return JSON.stringify([orderId, order, held.split(" ").filter((waiting) => waiting !== ""), ids]);
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
      ? [order.customerId, order.orderDate, order.items, order.total_hundredths, order.currency, order.status]
      : null;
    return JSON.stringify([orderId, columns, held.get(orderId) ?? [], ids.get(orderId)?.toSorted()]);
  });
}

/** An order is where its first create is, in the lowest partition that has one; an idempotency key at its first event of one partition. */
function auditIndex(
  where: string,
  db: Database,
  partitions: readonly number[],
  prefixes: readonly (readonly LogRecord[])[],
): void {
  const orders = new Map<string, string>();
  const keyed = new Map<string, string[]>();
  for (const [n, prefix] of prefixes.entries()) {
    const inPartition = new Set<string>();
    for (const record of prefix) {
      const value = String(record.value);
      if (value.startsWith("POISON")) continue;
      const event = JSON.parse(value) as { event_id: string; event_type: string; order_id: string };
      const at = `${partitions[n]}:${record.offset}`;
      if (event.event_type === "ORDER_CREATED" && !orders.has(event.order_id))
        orders.set(event.order_id, `${event.order_id} ${at} ${event.event_id}`);
      const fingerprint = record.headers().find(([name]) => name === FINGERPRINT_HEADER)?.[1];
      if (!fingerprint || inPartition.has(event.event_id)) continue;
      inPartition.add(event.event_id);
      const found = `${event.event_id} ${at} ${event.order_id} ${String(Buffer.from(fingerprint))}`;
      keyed.set(event.event_id, [...(keyed.get(event.event_id) ?? []), found]);
    }
  }
  const columns = `partition || ':' || "offset"`;
  const orderRows = db
    .query(`SELECT order_id || ' ' || ${columns} || ' ' || event_id FROM order_index ORDER BY order_id`)
    .values();
  compare("index-is-a-prefix", where, orderRows.flat() as string[], [...orders.values()].toSorted(byFirstWord));
  const keyedRows = db
    .query(
      `SELECT event_id, event_id || ' ' || ${columns} || ' ' || order_id || ' ' || fingerprint FROM keyed_events ORDER BY event_id`,
    )
    .values() as [string, string][];
  const expected = [...keyed.keys()].toSorted().map((eventId) => {
    const candidates = keyed.get(eventId) ?? [];
    return candidates.find((candidate) => keyedRows.some(([, row]) => row === candidate)) ?? candidates.join(" or ");
  });
  compare(
    "index-is-a-prefix",
    where,
    keyedRows.map(([, row]) => row),
    expected,
  );
}

const byFirstWord = (a: string, b: string): number => ((a.split(" ")[0] ?? "") < (b.split(" ")[0] ?? "") ? -1 : 1);

function auditDigests(world: World, partitions: readonly (readonly LogRecord[])[]): void {
  for (const { orders, owner } of world.running("order-service")) {
    for (const { partition, view } of orders?.partitions.held() ?? []) {
      const disk = new Disk();
      const { db } = disk.open("fresh", orderProjection, { logId: world.broker.id, topic: TOPIC });
      const fresh = new PartitionStore(db, orderProjection, partition, () => undefined);
      for (let records = partitions[partition] ?? []; records.length > 0;) {
        const batch = records.slice(0, 1 + Math.floor(world.random() * 20));
        for (const record of batch) fresh.projection.fold(record);
        fresh.commit((batch.at(-1)?.offset ?? 0) + 1, undefined);
        records = records.slice(batch.length);
      }
      const [found, expected] = [view?.digest(), fresh.projection.view.digest()];
      disk.lose();
      if (found !== expected)
        throw new Violation("digests-agree", `partition ${partition} at ${owner.name} has ${found}, and folded anew ${expected}`);
    }
  }
}
