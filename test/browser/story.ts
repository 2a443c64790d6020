import { join } from "node:path";
import { systemClock } from "../../src/system/clock.ts";
import type { Log, NewRecord } from "../../src/log/port.ts";
import { partitionFor } from "../../src/log/partitioner.ts";
import { openSqliteLog } from "../../src/log/sqlite/sqlite-log.ts";
import { encodeEvent } from "../../src/orders/events/encode.ts";
import { STATUSES, type Status } from "../../src/orders/order.ts";
import { orderCreated, statusUpdated } from "../support/events/orders.ts";

const STORY_TOPIC = "orders.events";
export const STORY_PARTITIONS = 4;
/** The order to which everything happens that can happen to one. */
export const STORY_ORDER = "ORD-4711";
/** A value that a page must not take for HTML. */
export const HOSTILE = `no json <img src="x" onerror="document.title='taken'">`;

/** Another handle on a program's embedded log, as a foreign program would have it. */
export const logIn = (dataDir: string): Log =>
  openSqliteLog({ path: join(dataDir, "log.sqlite"), clock: systemClock, newUuid: () => crypto.randomUUID(), owner: "story" });

const now = () => new Date().toISOString();

function record(orderId: string, value: NewRecord["value"], headers: NewRecord["headers"] = []): NewRecord {
  return {
    partition: partitionFor("murmur2", orderId, STORY_PARTITIONS),
    key: orderId,
    value,
    headers,
    timestamp_ms: Date.now(),
  };
}

const update = (orderId: string, status: Status, eventId: string = crypto.randomUUID(), headers: NewRecord["headers"] = []) =>
  record(orderId, encodeEvent(statusUpdated({ eventId, timestamp: now(), orderId, status })), headers);

function create(orderId: string): NewRecord {
  const items = [
    { itemId: "ITEM-001", quantity: 2, price_hundredths: 4_995 },
    { itemId: "ITEM-017", quantity: 1, price_hundredths: 1_250 },
  ];
  const order = { customerId: "CUST-12345", orderDate: now(), items, total_hundredths: 11_240, currency: "EUR" };
  return record(orderId, encodeEvent(orderCreated({ eventId: crypto.randomUUID(), timestamp: now(), orderId, order })));
}

const placed = (records: readonly NewRecord[], partitions: number): NewRecord[] =>
  records.map((one) => ({ ...one, partition: partitionFor("murmur2", String(one.key), partitions) }));

/** Makes early updates, a duplicate, a second create, a replay, and four dead letters. */
export async function tellStory(log: Log, partitions = STORY_PARTITIONS): Promise<void> {
  const producer = log.producer();
  const story = [
    update(STORY_ORDER, "pending"),
    update(STORY_ORDER, "confirmed", "told-twice"),
    create(STORY_ORDER),
    create(STORY_ORDER),
    update(STORY_ORDER, "confirmed", "told-twice"),
    update(STORY_ORDER, "shipped", "replayed", [["x-replay-id", "night-1"]]),
    update("ORD-98", "new"),
    update("ORD-99", "pending"),
    record(STORY_ORDER, HOSTILE),
    record("ORD-5", Buffer.from([0xfe, 0x80, 1, 2, 3, 65, 66, 67])),
    record("ORD-6", `{"event_id":"x","event_type":"ORDER_REMOVED"}`),
    record("ORD-8", encodeEvent(statusUpdated({ eventId: "e", timestamp: now(), orderId: "ORD-7", status: "new" }))),
  ];
  await producer.append(STORY_TOPIC, placed(story, partitions));
  await producer.close();
}

/** Sends about `events_per_s` creates and updates a second, in waves, until `signal` aborts. */
export async function keepBusy(
  log: Log,
  events_per_s: number,
  signal: AbortSignal,
  partitions = STORY_PARTITIONS,
): Promise<void> {
  const producer = log.producer();
  let orders = 1_000_000;
  for (let tenth = 0; !signal.aborted; tenth++) {
    const events = Math.round((events_per_s / 10) * (1 + 0.4 * Math.sin(tenth / 60)));
    const records = Array.from({ length: events }, (_, i) =>
      i % 3 === 0 ? create(`ORD-${orders++}`) : update(`ORD-${orders - 1}`, STATUSES[i % STATUSES.length] ?? "new"),
    );
    await producer.append(STORY_TOPIC, placed(records, partitions));
    await Bun.sleep(100);
  }
  await producer.close();
}

/** Creates so many orders in one partition that applying them takes a moment. */
export async function fillPartition(log: Log, partition: number, records: number): Promise<void> {
  const producer = log.producer();
  const batch_records = 5_000;
  for (let at = 0; at < records; at += batch_records) {
    const batch = Array.from({ length: batch_records }, (_, i) => ({ ...create(`ORD-${2_000_000 + at + i}`), partition }));
    await producer.append(STORY_TOPIC, batch);
  }
  await producer.close();
}
