import type { Log, NewRecord } from "../../src/log/port.ts";
import { partitionFor } from "../../src/log/partitioner.ts";

/**
 * The events that a topic is filled with. The content depends on nothing else.
 *
 * - hot: order i is ORD-i, first its ORDER_CREATED, then its updates; the events of 1,000 orders are interleaved.
 * - cold: all orders are created first, under ids in no order; then each round updates every order once, striding
 *   through all of them, so that no event finds its order in a small cache.
 */
export interface Load {
  readonly shape: "hot" | "cold";
  readonly orders: number;
  readonly updatesPerOrder: number;
  /** Those of the topic; `loadPartitions` if absent. */
  readonly partitions?: number;
}

/** The events from the one before which `from` others lie to the one before `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export const loadPartitions = 12;

const partitionsOf = ({ partitions = loadPartitions }: Load): number => partitions;

export const eventCount = ({ orders, updatesPerOrder }: Load): number => orders * (1 + updatesPerOrder);

/** The events of this many orders are interleaved: each order's next event comes this many orders later. */
const window_orders = 1_000;
/** The records in a batch that fills a topic: far larger than the services'. */
const batch_records = 5_000;
const base_ms = 1_760_000_000_000;
const statuses = ["confirmed", "processing", "shipped", "pending", "cancelled"] as const;

/** Appends these events through the log's own producer; by default all of them. */
export async function fillTopic(
  log: Log,
  topic: string,
  load: Load,
  range: Range = { from: 0, to: eventCount(load) },
): Promise<void> {
  await log.createTopic(topic, partitionsOf(load));
  const producer = log.producer();
  try {
    for (let from = range.from; from < range.to; from += batch_records) {
      await producer.append(topic, recordsIn(load, { from, to: Math.min(from + batch_records, range.to) }));
    }
  } finally {
    await producer.close();
  }
}

/** The number of records in the topic; 0 if it does not exist. */
export async function recordCount(log: Log, topic: string): Promise<number> {
  if ((await log.partitionCount(topic)) === 0) return 0;
  const watermarks = await log.watermarks(topic);
  return watermarks.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
}

export function recordsIn(load: Load, { from, to }: Range): NewRecord[] {
  const records: NewRecord[] = [];
  for (let n = from; n < to; n++) records.push(recordAt(load, n));
  return records;
}

function recordAt(load: Load, n: number): NewRecord {
  const { order, update } = load.shape === "hot" ? hotEvent(load, n) : coldEvent(load, n);
  const id = `ORD-${load.shape === "hot" ? order : scattered(order)}`;
  const value = update === 0 ? created(n, id, order) : statusUpdated(n, id, statuses[(update - 1) % statuses.length]!);
  return { partition: partitionFor("murmur2", id, partitionsOf(load)), key: id, value, headers: [], timestamp_ms: base_ms + n };
}

/** An order by its number, and its create (0) or which of its updates. */
interface EventPlace {
  readonly order: number;
  readonly update: number;
}

function hotEvent({ orders, updatesPerOrder }: Load, n: number): EventPlace {
  const base = Math.floor(n / (window_orders * (1 + updatesPerOrder))) * window_orders;
  const size = Math.min(window_orders, orders - base);
  const rest = n - base * (1 + updatesPerOrder);
  return { order: base + (rest % size), update: Math.floor(rest / size) };
}

function coldEvent({ orders }: Load, n: number): EventPlace {
  const update = Math.floor(n / orders);
  const nth = n % orders;
  return { order: update === 0 ? nth : (nth * 48_271 + update * 7_919) % orders, update };
}

/** The modulus is prime, so no two orders share an id; the product is exact in a double for billions of orders. */
const scattered = (order: number): number => (order * 1_103_515) % 4_294_967_291;

// The records are written by hand, so that runs of different versions are measured on the same bytes.
const head = (n: number, type: string, id: string): string => {
  const eventId = `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
  return `{"event_id":"${eventId}","event_type":"${type}","timestamp":"${dateTime(n)}","order_id":"${id}",`;
};

const dateTime = (n: number): string => new Date(base_ms + n).toISOString();

const created = (n: number, id: string, i: number): string =>
  `${head(n, "ORDER_CREATED", id)}"order":{"order_id":"${id}","customer_id":"CUST-${String(i % 99_999).padStart(5, "0")}","order_date":"${dateTime(n)}",` +
  `"items":[{"item_id":"ITEM-001","quantity":2,"price":25.5},{"item_id":"ITEM-002","quantity":1,"price":49},{"item_id":"ITEM-003","quantity":1,"price":50}],` +
  `"total_amount":150,"currency":"USD","status":"new"}}`;

const statusUpdated = (n: number, id: string, status: string): string =>
  `${head(n, "ORDER_STATUS_UPDATED", id)}"status":"${status}"}`;
