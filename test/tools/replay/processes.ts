import { expect } from "bun:test";
import { type Backing, totalLength } from "../../support/brokers/foreign.ts";
import { pythonCreate, pythonUpdate } from "../../support/events/python-events.ts";
import { createOrder, orderDetails, updateOrder } from "../../support/http/http.ts";
import { type ExactRecord, headerOf, headersByName } from "../../support/events/records.ts";
import { createTopic } from "../../support/brokers/topics.ts";

export const ORDERS = 40;
export const FIRST_MS = 1_795_000_000_000;

const sorted = (record: ExactRecord, from: unknown) => ({
  ...record,
  offset: 0,
  from: Number(from),
  headers: headersByName(record, "x-replay"),
});
export const sourceOf = (records: readonly ExactRecord[]) => records.map((record) => sorted(record, record.offset));
/** The records that arrived, without repetitions. */
export const arrivedOf = (records: readonly ExactRecord[]) => {
  const seen = new Set<string>();
  return records
    .map((record) => sorted(record, headerOf(record, "x-replayed-from-offset")))
    .filter(({ partition, from }) => !seen.has(`${partition}:${from}`) && seen.add(`${partition}:${from}`));
};

export async function someOrders(cartUrl: string): Promise<void> {
  await Promise.all(
    Array.from({ length: ORDERS }, async (_, n) => {
      expect((await createOrder(cartUrl, { order_id: String(n), number_of_items: 1 + (n % 3) })).status).toBe(200);
      expect((await updateOrder(cartUrl, { order_id: String(n), status: n % 2 ? "shipped" : "cancelled" })).status).toBe(200);
    }),
  );
}

export const answers = async (orderUrl: string) =>
  Promise.all(Array.from({ length: ORDERS }, async (_, n) => (await orderDetails(orderUrl, String(n))).body));

/** A topic that was just created has no leaders for a moment. */
export const lengthSoFar = ({ log }: Backing, topic: string) => totalLength(log, topic).catch(() => 0);

/** Events of 200 orders on 12 partitions, a second apart. */
export async function fill(backing: Backing, count: number): Promise<void> {
  await createTopic(backing.log, backing.topic, 12);
  const producer = backing.log.producer();
  const records = Array.from({ length: count }, (_, n) => {
    const order = `ORD-${n % 200}`;
    const value = n < 200 ? pythonCreate(order) : pythonUpdate(order, "shipped");
    return {
      partition: (n % 200) % 12,
      key: order,
      value,
      timestamp_ms: FIRST_MS + n * 1_000,
      headers: [["n", String(n)]] as const,
    };
  });
  for (let at = 0; at < count; at += 500) await producer.append(backing.topic, records.slice(at, at + 500));
  await producer.close();
}
