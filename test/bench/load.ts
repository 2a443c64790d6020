import type { Log, NewRecord } from "../../src/log/port.ts";
import { partitionFor } from "../../src/log/partitioner.ts";

/**
 * The events that a topic is filled with: order i is ORD-i, first its ORDER_CREATED, then its updates. The content
 * depends on nothing else.
 */
export interface Load {
  readonly orders: number;
  readonly updatesPerOrder: number;
}

const loadPartitions = 12;

export const eventCount = ({ orders, updatesPerOrder }: Load): number => orders * (1 + updatesPerOrder);

/** The events of this many orders are interleaved: each order's next event comes this many orders later. */
const window_orders = 1_000;
/** How a topic is filled: the records in a batch, and the wait between two batches. */
export interface Pace {
  readonly batch_records: number;
  readonly wait_ms: number;
}

/** These batches are far larger than the services'. */
const full_pace: Pace = { batch_records: 5_000, wait_ms: 0 };
const base_ms = 1_760_000_000_000;
const statuses = ["confirmed", "processing", "shipped", "pending", "cancelled"] as const;

/** Fills the topic, which must be empty or not exist, through the log's own producer. */
export async function fillTopic(log: Log, topic: string, load: Load, { batch_records, wait_ms } = full_pace): Promise<void> {
  await log.createTopic(topic, loadPartitions);
  const producer = log.producer();
  try {
    let batch: NewRecord[] = [];
    for (const record of records(load)) {
      batch.push(record);
      if (batch.length < batch_records) continue;
      await producer.append(topic, batch);
      batch = [];
      if (wait_ms > 0) await Bun.sleep(wait_ms);
    }
    if (batch.length > 0) await producer.append(topic, batch);
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

function* records({ orders, updatesPerOrder }: Load): Generator<NewRecord> {
  let n = 0;
  for (let base = 0; base < orders; base += window_orders) {
    const end = Math.min(base + window_orders, orders);
    for (let update = 0; update <= updatesPerOrder; update++) {
      for (let i = base; i < end; i++) {
        const id = `ORD-${i}`;
        const timestamp_ms = base_ms + n;
        const value = update === 0 ? created(n, id, i) : statusUpdated(n, id, statuses[(update - 1) % statuses.length]!);
        yield { partition: partitionFor("murmur2", id, loadPartitions), key: id, value, headers: [], timestamp_ms };
        n++;
      }
    }
  }
}

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
