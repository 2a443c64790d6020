import { systemClock } from "../../src/clock.ts";
import type { Log, NewRecord } from "../../src/log/log.ts";
import { partitionFor } from "../../src/log/partitioner.ts";
import { encodeEvent, type OrderEvent } from "../../src/orders/event.ts";
import type { Status } from "../../src/orders/order.ts";

const STATUSES: readonly Status[] = ["confirmed", "processing", "shipped", "pending", "cancelled"];
const WINDOW_ORDERS = 1_000;
const PARTITIONS = 12;

const eventId = (n: number) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;

function event(order: number, update: number, n: number): OrderEvent {
  const orderId = `ORD-${order}`;
  const timestamp = new Date(1.76e12 + n).toISOString();
  if (update > 0)
    return {
      type: "ORDER_STATUS_UPDATED",
      eventId: eventId(n),
      timestamp,
      orderId,
      status: STATUSES[(update - 1) % STATUSES.length] ?? "new",
    };
  const items = [
    { itemId: "ITEM-001", quantity: 2, price_hundredths: 2_550 },
    { itemId: "ITEM-002", quantity: 1, price_hundredths: 4_900 },
    { itemId: "ITEM-003", quantity: 1, price_hundredths: 5_000 },
  ];
  const customerId = `CUST-${String(order % 99_999).padStart(5, "0")}`;
  return {
    type: "ORDER_CREATED",
    eventId: eventId(n),
    timestamp,
    orderId,
    order: { orderId, customerId, orderDate: timestamp, items, total_hundredths: 15_000, currency: "USD", status: "new" },
  };
}

/** Fills a topic, unless it is full already: each order's create, then its updates, interleaved over a window of 1,000 orders. */
export async function fill(log: Log, topic: string, orders: number, updatesPerOrder: number): Promise<void> {
  await log.createTopic(topic, PARTITIONS);
  const events = orders * (updatesPerOrder + 1);
  const there = (await log.watermarks(topic)).reduce((sum, { endOffset }) => sum + endOffset, 0);
  if (there >= events) return;
  if (there > 0) throw new Error(`${topic} holds ${there} of ${events} events; delete it or name another --events`);
  const producer = log.producer();
  let n = 0;
  for (let base = 0; base < orders; base += WINDOW_ORDERS) {
    for (let update = 0; update <= updatesPerOrder; update++) {
      const records: NewRecord[] = [];
      for (let order = base; order < Math.min(base + WINDOW_ORDERS, orders); order++) {
        const filled = event(order, update, n++);
        const partition = partitionFor("murmur2", filled.orderId, PARTITIONS);
        records.push({
          partition,
          key: filled.orderId,
          value: encodeEvent(filled),
          headers: [],
          timestamp_ms: systemClock.now_ms(),
        });
      }
      await producer.append(topic, records);
    }
  }
  await producer.close();
}
