import { describe, expect, test } from "bun:test";
import { type CompressionCodecs, CompressionTypes, Kafka, logLevel, type Message } from "kafkajs";
import { createRequire } from "node:module";
import { zstdCompressSync } from "node:zlib";
import { compressFrameSync } from "lz4-napi";
import { compressSync } from "snappy";
import { partitionFor } from "../../src/log/partitioner.ts";
import { DEAD_LETTER_HEADERS } from "../../src/partitions/dead-letters.ts";
import { brokerSuite } from "../support/broker.ts";
import { createOrder, orderDetails, orderIds, updateOrder } from "../support/http.ts";
import { startProgram } from "../support/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

const codecs = (createRequire(import.meta.url)("kafkajs") as { CompressionCodecs: typeof CompressionCodecs }).CompressionCodecs;
const packs = (compress: (bytes: Buffer) => Buffer) => () => ({
  compress: async (encoder: { buffer: Buffer }) => compress(encoder.buffer),
  decompress: async () => {
    throw new Error("not needed here");
  },
});
codecs[CompressionTypes.Snappy] = packs((bytes) => compressSync(bytes));
codecs[CompressionTypes.LZ4] = packs((bytes) => compressFrameSync(bytes));
codecs[CompressionTypes.ZSTD] = packs((bytes) => zstdCompressSync(bytes));

const TIMEOUT_MS = 90_000;
const names = () => {
  const id = crypto.randomUUID().slice(0, 8);
  return { ORDERS_TOPIC: `orders.${id}`, CONSUMER_GROUP: `group.${id}` };
};

/** What the Python predecessor writes: json.dumps' separators, dates without a zone, floats. */
const foreignCreate = (orderId: string, eventId: string = crypto.randomUUID()): Message => ({
  key: orderId,
  value: `{"event_id": "${eventId}", "event_type": "ORDER_CREATED", "timestamp": "2026-11-22T21:42:39.413905", "order_id": "${orderId}", "order": {"order_id": "${orderId}", "customer_id": "CUST-00042", "order_date": "2026-11-22T21:42:39.413708", "items": [{"item_id": "ITEM-001", "quantity": 3, "price": 411.81}], "total_amount": 1235.4299999999998, "currency": "USD", "status": "new"}}`,
});
const foreignUpdate = (orderId: string, status: string, eventId: string = crypto.randomUUID()): Message => ({
  key: orderId,
  value: JSON.stringify({
    event_id: eventId,
    event_type: "ORDER_STATUS_UPDATED",
    timestamp: "2026-11-22T21:42:40",
    order_id: orderId,
    status,
  }),
});

async function withClient<T>(brokers: string, work: (kafka: Kafka) => Promise<T>): Promise<T> {
  return work(new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING }));
}

async function send(brokers: string, topic: string, messages: Message[], compression = CompressionTypes.None): Promise<void> {
  await withClient(brokers, async (kafka) => {
    const producer = kafka.producer({
      createPartitioner:
        () =>
        ({ message }) =>
          message.partition ?? 0,
    });
    await producer.connect();
    await producer.send({ topic, messages, compression });
    await producer.disconnect();
  });
}

/** All records of a topic, read by a plain client. */
async function readTopic(brokers: string, topic: string) {
  return withClient(brokers, async (kafka) => {
    const admin = kafka.admin();
    await admin.connect();
    const ends = await admin.fetchTopicOffsets(topic);
    await admin.disconnect();
    const behind = new Set(ends.filter(({ low, high }) => low !== high).map(({ partition }) => partition));
    const records: { partition: number; key: string; value: string; headers: Record<string, string> }[] = [];
    if (behind.size === 0) return records;
    const consumer = kafka.consumer({ groupId: `read-${crypto.randomUUID()}`, maxWaitTimeInMs: 200 });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        for (const { key, value, headers } of batch.messages) {
          const text = Object.fromEntries(Object.entries(headers ?? {}).map(([name, bytes]) => [name, String(bytes)]));
          records.push({ partition: batch.partition, key: String(key), value: String(value), headers: text });
        }
        if (BigInt(batch.lastOffset()) + 2n >= BigInt(ends.find((end) => end.partition === batch.partition)?.high ?? 0))
          behind.delete(batch.partition);
      },
    });
    await waitUntil(`the end of ${topic}`, () => behind.size === 0, { wait_ms_max: 20_000 });
    await consumer.disconnect();
    return records;
  });
}

describe("the embedded log", () => {
  test("a producer and a consumer in two processes share it; a second consumer waits and takes over", async () => {
    await using consumer = await startProgram({ role: "consumer" });
    await consumer.ready();
    await using producer = await startProgram({ role: "producer", dataDir: consumer.dataDir });
    await producer.ready();
    const created = await createOrder(producer.cartUrl, { order_id: "1", number_of_items: 2 });
    expect(created.status).toBe(200);
    const position = { "log-position": created.headers.get("log-position") ?? "" };
    expect((await orderDetails(consumer.orderUrl, "1", position)).status).toBe(200);
    await using second = await startProgram({ role: "consumer", dataDir: consumer.dataDir });
    await second.live();
    await waitUntil(
      () => second.output(),
      () => second.output().includes(`pid ${consumer.pid}`),
    );
    expect((await orderDetails(second.orderUrl, "1")).status).toBe(503);
    consumer.kill("SIGKILL");
    await second.ready();
    expect((await orderDetails(second.orderUrl, "1", position)).status).toBe(200);
  }, 40_000);
});

await brokerSuite("the pipeline", ({ brokers }) => {
  const onBroker = (more: Record<string, string> = {}) => ({ KAFKA_BROKERS: brokers, ...names(), ...more });

  test(
    "two carts race 1,000 times on one new id: one 200, one 409, and the order is the winner's",
    async () => {
      const env = onBroker();
      await using a = await startProgram({ env });
      await using b = await startProgram({ role: "producer", env });
      await Promise.all([a.ready(), b.ready()]);
      const items = [{ item_id: "I", quantity: 1, price: 1 }];
      const body = (i: number, customer_id: string) => ({ order_id: `${i}`, customer_id, items });
      for (let base = 0; base < 1_000; base += 50) {
        await Promise.all(
          Array.from({ length: 50 }, async (_, k) => {
            const i = base + k;
            const [fromA, fromB] = await Promise.all([
              createOrder(a.cartUrl, body(i, "A")),
              createOrder(b.cartUrl, body(i, "B")),
            ]);
            expect(new Set([fromA.status, fromB.status])).toEqual(new Set([200, 409]));
            const winner = fromA.status === 200 ? fromA : fromB;
            const position = { "log-position": winner.headers.get("log-position") ?? "" };
            const details = await orderDetails(a.orderUrl, `${i}`, position);
            expect(details.body.order?.customerId).toBe(fromA.status === 200 ? "A" : "B");
          }),
        );
      }
      expect((await orderIds(a.orderUrl, env.ORDERS_TOPIC)).body.orderIds).toHaveLength(1_000);
    },
    TIMEOUT_MS,
  );

  test(
    "an update through B right after a create through A is never a false 404, in 1,000 tries",
    async () => {
      const env = onBroker();
      await using a = await startProgram({ role: "producer", env });
      await using b = await startProgram({ role: "producer", env });
      await Promise.all([a.ready(), b.ready()]);
      for (let base = 0; base < 1_000; base += 20) {
        await Promise.all(
          Array.from({ length: 20 }, async (_, k) => {
            const order_id = `${base + k}`;
            expect((await createOrder(a.cartUrl, { order_id, number_of_items: 1 })).status).toBe(200);
            expect((await updateOrder(b.cartUrl, { order_id, status: "shipped" })).status).toBe(200);
          }),
        );
      }
      expect((await updateOrder(b.cartUrl, { order_id: "99999", status: "shipped" })).status).toBe(404);
    },
    TIMEOUT_MS,
  );

  test(
    "an idempotency key answers as the first time, through another cart too, and adds nothing",
    async () => {
      const env = onBroker();
      await using a = await startProgram({ env });
      await using b = await startProgram({ role: "producer", env });
      await Promise.all([a.ready(), b.ready()]);
      const key = { "idempotency-key": '"create-1"' };
      const first = await createOrder(a.cartUrl, { order_id: "1", number_of_items: 2 }, key);
      const again = await createOrder(b.cartUrl, { orderId: "ORD-1", numberOfItems: 2 }, key);
      expect([again.status, again.body, again.headers.get("log-position")]).toEqual([
        200,
        first.body,
        first.headers.get("log-position"),
      ]);
      const updateKey = { "idempotency-key": "update-1" };
      const update = await updateOrder(b.cartUrl, { order_id: "1", status: "shipped" }, updateKey);
      const updateAgain = await updateOrder(b.cartUrl, { order_id: "1", status: "shipped" }, updateKey);
      expect(updateAgain.headers.get("log-position")).toBe(update.headers.get("log-position"));
      expect((await updateOrder(a.cartUrl, { order_id: "1", status: "new" }, updateKey)).status).toBe(422);
      const records = await readTopic(brokers, env.ORDERS_TOPIC);
      expect(records).toHaveLength(2);
      expect(records[0]?.headers).toMatchObject({
        ce_specversion: "1.0",
        ce_type: "ORDER_CREATED",
        "content-type": "application/json",
      });
      expect(Object.keys(JSON.parse(records[0]?.value ?? ""))).toEqual([
        "event_id",
        "event_type",
        "timestamp",
        "order_id",
        "order",
      ]);
    },
    TIMEOUT_MS,
  );

  test(
    "poison goes to the dead letters once, also after a rebuild; what follows is applied",
    async () => {
      const env = onBroker();
      await using first = await startProgram({ env });
      await first.ready();
      const valid = JSON.parse(String(foreignCreate("ORD-5").value)) as Record<string, unknown>;
      const bad: Message[] = [
        { key: "ORD-5", value: "not json" },
        { key: "ORD-5", value: Buffer.from([0x7b, 0xff, 0xfe]) },
        { key: "ORD-5", value: "[1]" },
        { key: "ORD-5", value: JSON.stringify({ ...valid, event_type: "ORDER_LOST" }) },
        { key: "ORD-5", value: null },
        { key: "ORD-5", value: "" },
        { key: "ORD-6", value: JSON.stringify(valid) },
        { key: "ORD-5", value: JSON.stringify({ ...valid, order: { ...(valid["order"] as object), total_amount: -1 } }) },
        { key: "ORD-5", value: "[".repeat(1_000_000) },
        { key: "ORD-5", value: JSON.stringify({ ...valid, event_id: undefined }) },
      ];
      for (const message of bad) await send(brokers, env.ORDERS_TOPIC, [{ ...message, headers: { mine: "1" } }]);
      await send(brokers, env.ORDERS_TOPIC, [foreignCreate("ORD-5")]);
      const served = async (url: string) => (await orderDetails(url, "5")).status === 200;
      await waitUntil("the order after the poison", () => served(first.orderUrl));
      const details = (await orderDetails(first.orderUrl, "5")).body;
      expect([details.order?.totalAmount, details.shippingCost, details.order?.orderDate]).toEqual([
        1235.43,
        24.71,
        "2026-11-22T21:42:39.413708Z",
      ]);
      const letters = await readTopic(brokers, `${env.ORDERS_TOPIC}.dlq`);
      expect(letters.map(({ value }) => value).toSorted()).toEqual(bad.map(({ value }) => String(value)).toSorted());
      expect(letters.every(({ headers }) => headers["mine"] === "1" && headers[DEAD_LETTER_HEADERS.reason] !== undefined)).toBe(
        true,
      );
      first.kill("SIGKILL");
      await first.exited();
      await using rebuilt = await startProgram({ env });
      await rebuilt.ready();
      await waitUntil("the rebuilt order", () => served(rebuilt.orderUrl));
      expect(await readTopic(brokers, `${env.ORDERS_TOPIC}.dlq`)).toHaveLength(bad.length);
    },
    TIMEOUT_MS,
  );

  test(
    "every compression is read, early updates wait, foreign placement and added partitions are followed",
    async () => {
      const env = onBroker({ TOPIC_PARTITIONS: "4" });
      await using program = await startProgram({ env });
      await program.ready();
      const kinds = [
        CompressionTypes.None,
        CompressionTypes.GZIP,
        CompressionTypes.Snappy,
        CompressionTypes.LZ4,
        CompressionTypes.ZSTD,
      ];
      for (const [i, kind] of kinds.entries()) {
        const orderId = `ORD-10${i}`;
        // A partition that our partitioner would not choose.
        const partition = (partitionFor("murmur2", orderId, 4) + 1) % 4;
        const messages = [foreignUpdate(orderId, "pending"), foreignUpdate(orderId, "confirmed"), foreignCreate(orderId)];
        await send(
          brokers,
          env.ORDERS_TOPIC,
          messages.map((message) => ({ ...message, partition })),
          kind,
        );
        await waitUntil(
          `the order in codec ${kind}`,
          async () => (await orderDetails(program.orderUrl, orderId)).body.order?.status === "confirmed",
        );
        const update = await updateOrder(program.cartUrl, { order_id: orderId, status: "shipped" });
        expect(update.headers.get("log-position")).toStartWith(`${partition}:`);
      }
      await withClient(brokers, async (kafka) => {
        const admin = kafka.admin();
        await admin.connect();
        await admin.createPartitions({ topicPartitions: [{ topic: env.ORDERS_TOPIC, count: 7 }] });
        await admin.disconnect();
      });
      await waitUntil(
        "a create in an added partition",
        async () => {
          const order_id = String(Math.floor(Math.random() * 1e9));
          const { headers } = await createOrder(program.cartUrl, { order_id, number_of_items: 1 });
          const position = headers.get("log-position") ?? "";
          return (
            Number(position.split(":")[0]) >= 4 &&
            (await orderDetails(program.orderUrl, order_id, { "log-position": position })).status === 200
          );
        },
        { wait_ms_max: 20_000 },
      );
      expect((await updateOrder(program.cartUrl, { order_id: "ORD-100", status: "cancelled" })).status).toBe(200);
    },
    TIMEOUT_MS,
  );

  test(
    "two order services share the partitions: one answers 200, the other 421 and never 404",
    async () => {
      const env = onBroker();
      await using a = await startProgram({ env });
      await using b = await startProgram({ role: "consumer", env });
      await Promise.all([a.ready(), b.ready()]);
      const held = async (url: string) =>
        ((await (await fetch(`${url}/health/ready`)).json()) as { partitions: unknown[] }).partitions.length;
      await waitUntil("six partitions each", async () => (await held(a.orderUrl)) === 6 && (await held(b.orderUrl)) === 6);
      for (let i = 0; i < 60; i++) {
        const { headers } = await createOrder(a.cartUrl, { order_id: `${i}`, number_of_items: 1 });
        const [partition] = (headers.get("log-position") ?? "").split(":");
        const both = async () => Promise.all([orderDetails(a.orderUrl, `${i}`), orderDetails(b.orderUrl, `${i}`)]);
        const answers = await waitUntil("the order", async () => {
          const now = await both();
          expect(now.map(({ status }) => status)).not.toContain(404);
          return now.some(({ status }) => status === 200) && now;
        });
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 421]));
        expect(answers.find(({ status }) => status === 421)?.body).toMatchObject({ partition: Number(partition) });
      }
      expect((await orderDetails(a.orderUrl, "4711")).status).toBe(421);
    },
    TIMEOUT_MS,
  );
});
