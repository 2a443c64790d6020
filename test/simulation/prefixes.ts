import { drainMicrotasks } from "bun:jsc";
import { STAMP_BYTES } from "../../src/runtime/store/file-stamp.ts";
import type { StoreFiles } from "../../src/runtime/store/store-files.ts";
import type { Order, OrderFields } from "../../src/orders/order.ts";
import { PartitionStore } from "../../src/runtime/store/store.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../src/services/orders/slices.ts";
import type { OrderRow, OrdersView } from "../../src/services/orders/state/orders-view.ts";
import type { LogRecord } from "../../src/log/port.ts";
import { foldPartition, type LoggedRecord, type ReferencePartition } from "../reference/reference.ts";
import { Disk } from "./memory-state.ts";
import { loggedFields } from "./records.ts";
import { TOPIC } from "./topic-names.ts";
import type { World } from "./world.ts";

/** A record as the log has it, together with what the reference reads of it. */
export interface Stored extends LoggedRecord {
  readonly record: LogRecord;
}

/** What a prefix of a partition's records must give. */
export interface Expected {
  /** A line for each order. */
  readonly rows: readonly string[];
  readonly orders: number;
  readonly held: number;
}

/** What a store must have, however it was read and saved. */
export interface FoldedAnew {
  readonly digest: string | undefined;
  readonly creates_bytes: number;
}

/**
 * The prefixes of the log's partitions, and what each must give. A prefix is worked out once, so it must be asked for
 * only where the partition has lost nothing of it.
 */
export class Prefixes {
  readonly #expected = new Map<string, Expected>();
  readonly #dead = new Map<string, readonly number[]>();
  readonly #anew = new Map<string, FoldedAnew>();

  constructor(private readonly world: World) {}

  /** The partition's records before that offset. */
  records(partition: number, nextOffset: number): Stored[] {
    const { entries = [] } = this.world.broker.topics.topic(TOPIC)[partition] ?? {};
    return entries
      .slice(0, nextOffset)
      .flatMap((record, offset) => (record === null ? [] : [{ partition, offset, ...loggedFields(record), record }]));
  }

  expected(partition: number, nextOffset: number): Expected {
    const name = `${partition}:${nextOffset}`;
    const known = this.#expected.get(name) ?? expectedOf(foldPartition(this.records(partition, nextOffset)));
    this.#expected.set(name, known);
    return known;
  }

  /** The offsets of the prefix's dead letters. */
  dead(partition: number, nextOffset: number): readonly number[] {
    const name = `${partition}:${nextOffset}`;
    const known = this.#dead.get(name) ?? foldPartition(this.records(partition, nextOffset)).dead;
    this.#dead.set(name, known);
    return known;
  }

  /** What a new store has that folds the records in batches of its own, and saves now and then. */
  foldedAnew(partition: number, nextOffset: number): FoldedAnew {
    const name = `${partition}:${nextOffset}`;
    const known = this.#anew.get(name) ?? this.#foldAnew(partition, nextOffset);
    this.#anew.set(name, known);
    return known;
  }

  #foldAnew(partition: number, nextOffset: number): FoldedAnew {
    const { world } = this;
    const disk = new Disk();
    const opened = disk.claim().open("fresh", ORDER_SERVICE_PROJECTIONS, { logId: world.broker.id, topic: TOPIC });
    if ("unusable" in opened) throw new Error(opened.unusable);
    const fresh = new PartitionStore(opened.files, ORDER_SERVICE_PROJECTIONS, partition, () => undefined);
    for (let records = this.records(partition, nextOffset); records.length > 0;) {
      const batch = records.slice(0, 1 + Math.floor(world.random() * 20));
      for (const { record } of batch) if (!record.undecodable) fresh.projections.fold(record);
      fresh.keep((batch.at(-1)?.offset ?? 0) + 1, undefined);
      records = records.slice(batch.length);
      if (records.length > 0 && world.random() < 0.8) continue;
      const saving = fresh.save();
      drainMicrotasks();
      saving.commit();
    }
    const { digest } = fresh.projections;
    const creates_bytes = createsBytes(opened.files);
    disk.lose();
    return { digest, creates_bytes };
  }
}

/** How many bytes of what creates said belong to the store, as its database says; a store that was saved has a stamp before. */
export function createsBytes({ db }: StoreFiles): number {
  const found = db.query<{ creates_bytes: number }, []>("SELECT creates_bytes FROM totals").get()?.creates_bytes ?? 0;
  return Math.max(0, found - STAMP_BYTES);
}

/** One line for each order that the view knows; the ids of its events are compared as a set. */
export const rowsOf = (view: OrdersView): string[] => view.rowsAfter("", 10_000).map(rowLine);

function rowLine({ orderId, order, held, eventIds }: OrderRow): string {
  return line(
    orderId,
    order && fieldsOf(orderId, order),
    held.map(({ status }) => status),
    eventIds,
  );
}

/** All fields of an order; the compiler demands those that are added. */
function fieldsOf(orderId: string, { created, status }: Order): Fields {
  const { customerId, orderDate, items, total_hundredths, currency } = created;
  const itemParts = items.map(({ itemId, quantity, price_hundredths }) => [itemId, quantity, price_hundredths]);
  return { orderId, customerId, orderDate, items: itemParts, total_hundredths, currency, status };
}

type Fields = Readonly<Record<keyof OrderFields, unknown>>;

function expectedOf({ orders, held, counted }: ReferencePartition): Expected {
  const ids = new Map<string, string[]>();
  for (const once of counted) {
    const [orderId = "", eventId = ""] = once.split(" ");
    const known = ids.get(orderId);
    if (known) known.push(eventId);
    else ids.set(orderId, [eventId]);
  }
  const rows = [...ids.keys()].toSorted().map((orderId) => {
    const order = orders.get(orderId);
    const items = order?.items.map(({ itemId, quantity, price }) => [itemId, quantity, Math.round(price * 100)]);
    const fields: Fields | undefined = order && {
      orderId,
      customerId: order.customerId,
      orderDate: order.orderDate,
      items,
      total_hundredths: Math.round(order.totalAmount * 100),
      currency: order.currency,
      status: order.status,
    };
    return line(orderId, fields, held.get(orderId) ?? [], ids.get(orderId) ?? []);
  });
  return { rows, orders: orders.size, held: [...held.values()].reduce((sum, { length }) => sum + length, 0) };
}

const line = (orderId: string, order: Fields | undefined, held: readonly string[], ids: readonly string[]): string =>
  JSON.stringify([orderId, order ?? null, held, ids.toSorted()]);
