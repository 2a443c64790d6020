import { expect, test } from "bun:test";
import { CompressionTypes } from "kafkajs";
import { partitionFor } from "../../src/log/partitioner.ts";
import { brokerSuite } from "../support/brokers/broker.ts";
import { type Backing, brokerBacking, foreignClient, readAll } from "../support/brokers/foreign.ts";
import { pythonCreate, pythonUpdate } from "../support/events/python-events.ts";
import { createOrder, orderDetails, orderIds, updateOrder } from "../support/http/http.ts";
import { peerSecret } from "../support/fleets/peer-secret.ts";
import { type Role, startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";
import { caughtUp } from "../support/brokers/caught-up.ts";

const TIMEOUT_MS = 90_000;

const start = ({ env, dataDir }: Backing, role: Role = "both") => startProgram({ role, env, dataDir });
function partitionOf({ status, headers, body }: { status: number; headers: Headers; body: { detail?: string } }): number {
  const position = headers.get("log-position");
  if (position === null) throw new Error(`An answer without a Log-Position: ${status} ${body.detail ?? ""}`);
  return Number(position.split(":")[0]);
}
const after = (answer: { headers: Headers }) => ({ "log-position": answer.headers.get("log-position") ?? "" });

interface Ready {
  readonly status: string;
  readonly partitions: readonly {
    readonly partition: number;
    readonly offset: number;
    readonly lag: number;
    readonly state: string;
  }[];
}
const health = async (url: string) => (await (await fetch(`${url}/health/ready`)).json()) as Ready;

/** CRC-32 (IEEE 802.3, reflected), a bit at a time; librdkafka's `consistent_random` takes it modulo the partitions. */
function crc32(text: string): number {
  let crc = 0xffffffff;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

await brokerSuite("placement", ({ brokers }) => {
  test(
    "an order lives where another program created it: it is found there and updated there, early updates too",
    async () => {
      await using backing = await brokerBacking(brokers);
      await using program = await start(backing);
      await program.ready();
      for (let i = 0; i < 12; i++) {
        const key = `ORD-${500 + i}`;
        const partition = (partitionFor("murmur2", key, 12) + 1 + (i % 11)) % 12;
        const early = ["pending", "confirmed", "cancelled", "processing"].map((status) => ({
          partition,
          key,
          value: pythonUpdate(key, status),
        }));
        await backing.produce(early);
        if (i % 2 === 0) {
          await caughtUp(program.orderUrl, backing.log, backing.topic);
          expect((await orderDetails(program.orderUrl, key)).status).toBe(404);
        }
        await backing.produce([{ partition, key, value: pythonCreate(key) }]);
        const updated = await updateOrderedAsKnown(program.cartUrl, key);
        expect(partitionOf(updated)).toBe(partition);
        const details = await orderDetails(program.orderUrl, key, after(updated));
        expect([details.status, details.body.order?.status]).toEqual([200, "shipped"]);
      }
      const key = "ORD-600";
      const partition = (partitionFor("murmur2", key, 12) + 5) % 12;
      const statuses = ["pending", "confirmed", "shipped", "processing"];
      await backing.produce([
        ...statuses.map((status) => ({ partition, key, value: pythonUpdate(key, status) })),
        { partition, key, value: pythonCreate(key) },
      ]);
      await caughtUp(program.orderUrl, backing.log, backing.topic);
      expect((await orderDetails(program.orderUrl, key)).body.order?.status).toBe("processing");
      await caughtUp(program.cartUrl, backing.log, backing.topic);
      expect((await createOrder(program.cartUrl, { order_id: key, number_of_items: 1 })).status).toBe(409);
    },
    TIMEOUT_MS,
  );

  test(
    "PARTITIONER=crc32 places creates as librdkafka does, murmur2 as kafkajs' Java-compatible partitioner does",
    async () => {
      expect(crc32("123456789")).toBe(0xcbf43926);
      const ids = Array.from({ length: 40 }, (_, i) => `ORD-${i * 7919}`);
      await using crc = await brokerBacking(brokers, { PARTITIONER: "crc32", TOPIC_PARTITIONS: "7" });
      await using murmur = await brokerBacking(brokers, { TOPIC_PARTITIONS: "7" });
      await using crcProgram = await start(crc);
      await using murmurProgram = await start(murmur);
      await Promise.all([crcProgram.ready(), murmurProgram.ready()]);
      const producer = foreignClient(brokers).producer();
      await producer.connect();
      const control = `control.${crypto.randomUUID()}`;
      await murmur.log.createTopic(control, 7);
      await producer.send({ topic: control, messages: ids.map((key) => ({ key, value: "" })) });
      await producer.disconnect();
      const placed = new Map((await readAll(murmur.log, control)).map(({ key, partition }) => [String(key), partition]));
      expect(placed.size).toBe(ids.length);
      for (const order_id of ids) {
        const onCrc = await createOrder(crcProgram.cartUrl, { order_id, number_of_items: 1 });
        expect([order_id, partitionOf(onCrc)]).toEqual([order_id, crc32(order_id) % 7]);
        expect((await orderDetails(crcProgram.orderUrl, order_id, after(onCrc))).status).toBe(200);
        const onMurmur = await createOrder(murmurProgram.cartUrl, { order_id, number_of_items: 1 });
        expect([order_id, partitionOf(onMurmur)]).toEqual([order_id, placed.get(order_id)!]);
      }
    },
    TIMEOUT_MS,
  );

  test(
    "added partitions are picked up: new creates go there, old orders stay where they are",
    async () => {
      await using backing = await brokerBacking(brokers, { TOPIC_PARTITIONS: "3" });
      await using consumer = await start(backing, "consumer");
      await using cart = await startProgram({ role: "producer", env: backing.env });
      await Promise.all([consumer.ready(), cart.ready()]);
      const old = new Map<string, number>();
      for (let i = 0; i < 20; i++) {
        const order_id = `ORD-${i}`;
        old.set(order_id, partitionOf(await createOrder(cart.cartUrl, { order_id, number_of_items: 1 })));
      }
      const admin = foreignClient(brokers).admin();
      await admin.connect();
      await admin.createPartitions({ topicPartitions: [{ topic: backing.topic, count: 8 }] });
      await admin.disconnect();
      await waitUntil(
        "both services at eight partitions",
        async () =>
          (await health(cart.cartUrl)).partitions.length === 8 && (await health(consumer.orderUrl)).partitions.length === 8,
        { wait_ms_max: 30_000 },
      );
      for (const [order_id, partition] of old) {
        const updated = await updateOrder(cart.cartUrl, { order_id, status: "confirmed" });
        expect([updated.status, partitionOf(updated)]).toEqual([200, partition]);
        const details = await orderDetails(consumer.orderUrl, order_id, after(updated));
        expect([details.status, details.body.order?.status]).toEqual([200, "confirmed"]);
        expect((await createOrder(cart.cartUrl, { order_id, number_of_items: 1 })).status).toBe(409);
      }
      const used = new Set<number>();
      for (let i = 100; i < 160; i++) {
        const created = await createOrder(cart.cartUrl, { order_id: `${i}`, number_of_items: 1 });
        expect(partitionOf(created)).toBe(partitionFor("murmur2", `ORD-${i}`, 8));
        expect((await orderDetails(consumer.orderUrl, `${i}`, after(created))).status).toBe(200);
        used.add(partitionOf(created));
      }
      expect(used.size).toBe(8);
      expect((await orderIds(consumer.orderUrl, backing.topic)).body.orderIds).toHaveLength(80);
    },
    TIMEOUT_MS,
  );

  test(
    "a cart that has still to read its index never creates an order again that lies in another partition",
    async () => {
      await using backing = await brokerBacking(brokers, { TOPIC_PARTITIONS: "3" });
      {
        // The first start creates the topic.
        await using cart = await start(backing, "producer");
        await cart.ready();
      }
      const ids = Array.from({ length: 20_000 }, (_, i) => `ORD-${i}`);
      for (let i = 0; i < ids.length; i += 2_000) {
        const messages = ids.slice(i, i + 2_000).map((key) => ({ partition: 1, key, value: pythonCreate(key) }));
        await backing.produce(messages, CompressionTypes.GZIP);
      }
      await using cart = await startProgram({ role: "producer", env: backing.env });
      await cart.live();
      // The last ones are the last to be read.
      for (let i = ids.length - 1; i >= ids.length - 300; i--) {
        const { status } = await createOrder(cart.cartUrl, { order_id: ids[i], number_of_items: 1 });
        expect([409, 503]).toContain(status);
      }
      await cart.ready();
      expect((await createOrder(cart.cartUrl, { order_id: ids[0], number_of_items: 1 })).status).toBe(409);
      expect((await backing.log.watermarks(backing.topic)).map(({ endOffset }) => endOffset)).toEqual([0, ids.length, 0]);
    },
    TIMEOUT_MS,
  );

  test(
    "an aborted transaction is not applied, a committed one is, and the reading goes on past both",
    async () => {
      await using backing = await brokerBacking(brokers, { TOPIC_PARTITIONS: "1" });
      await using program = await start(backing);
      await program.ready();
      const producer = foreignClient(brokers).producer({
        transactionalId: `foreign.${backing.topic}`,
        idempotent: true,
        maxInFlightRequests: 1,
      });
      await producer.connect();
      const inTransaction = async (orderId: string, end: "commit" | "abort") => {
        const transaction = await producer.transaction();
        await transaction.send({ topic: backing.topic, messages: [{ key: orderId, value: pythonCreate(orderId) }] });
        // While the transaction is open the order is not visible, and whether it will exist is not known.
        await Bun.sleep(200);
        expect((await orderDetails(program.orderUrl, orderId)).status).not.toBe(200);
        await transaction[end]();
      };
      await inTransaction("ORD-1", "abort");
      await inTransaction("ORD-2", "commit");
      await inTransaction("ORD-3", "abort");
      await producer.disconnect();
      // The broker writes a transaction's control record after it has answered.
      await waitUntil(
        "three records and three control records",
        async () => (await backing.log.watermarks(backing.topic))[0]?.endOffset === 6,
      );
      await caughtUp(program.orderUrl, backing.log, backing.topic);
      await caughtUp(program.cartUrl, backing.log, backing.topic);
      const statuses = async () =>
        Promise.all(["1", "2", "3"].map(async (id) => (await orderDetails(program.orderUrl, id)).status));
      expect(await statuses()).toEqual([404, 200, 404]);
      expect((await updateOrder(program.cartUrl, { order_id: "1", status: "shipped" })).status).toBe(404);
      const created = await createOrder(program.cartUrl, { order_id: "1", number_of_items: 1 });
      expect([created.status, created.headers.get("log-position")]).toEqual([200, "0:6"]);
      expect((await orderDetails(program.orderUrl, "1", after(created))).status).toBe(200);
      expect((await createOrder(program.cartUrl, { order_id: "2", number_of_items: 1 })).status).toBe(409);
      expect((await orderIds(program.orderUrl, backing.topic)).body.orderIds).toEqual(["ORD-1", "ORD-2"]);
    },
    TIMEOUT_MS,
  );

  test(
    "two order services share the partitions: each of them tells every order, and never denies one",
    async () => {
      await using backing = await brokerBacking(brokers);
      const env = { ...backing.env, PEER_TOKEN_FILE: peerSecret(backing.dataDir) };
      await using a = await startProgram({ env, dataDir: backing.dataDir });
      await using b = await startProgram({ role: "consumer", env });
      await Promise.all([a.ready(), b.ready()]);
      const held = async (url: string) => (await health(url)).partitions.map(({ partition }) => partition);
      await waitUntil(
        "twelve partitions between the two",
        async () => (await held(a.orderUrl)).length === 6 && (await held(b.orderUrl)).length === 6,
        { wait_ms_max: 30_000 },
      );
      const atA = await held(a.orderUrl);
      expect([...atA, ...(await held(b.orderUrl))].toSorted((x, y) => x - y)).toEqual(Array.from({ length: 12 }, (_, p) => p));
      const bothUrls = [a.orderUrl, b.orderUrl];
      for (let i = 0; i < 100; i++) {
        const created = await createOrder(a.cartUrl, { order_id: `${i}`, number_of_items: 1 });
        for (const headers of [after(created), {}])
          for (const url of bothUrls) {
            const found = await orderDetails(url, `${i}`, headers);
            expect([found.status, found.body.order?.orderId]).toEqual([200, `ORD-${i}`]);
          }
      }
      // Another program placed this order, and neither may deny it.
      const key = "ORD-4711";
      const partition = (partitionFor("murmur2", key, 12) + 1) % 12;
      await backing.produce([{ partition, key, value: pythonCreate(key) }]);
      const answers = async () => Promise.all(bothUrls.map(async (url) => (await orderDetails(url, key)).status));
      await waitUntil("the foreign order", async () => (await answers()).every((status) => status === 200));
    },
    TIMEOUT_MS,
  );

  test(
    "a consumer that is there before the topic serves what is written once it exists",
    async () => {
      await using backing = await brokerBacking(brokers);
      await using consumer = await start(backing, "consumer");
      await consumer.live();
      await waitUntil("the topic", async () => (await backing.log.partitionCount(backing.topic)) === 12);
      await backing.produce([{ partition: 4, key: "ORD-1", value: pythonCreate("ORD-1") }]);
      await consumer.ready();
      await waitUntil("the order", async () => (await orderDetails(consumer.orderUrl, "1")).status === 200);
    },
    TIMEOUT_MS,
  );

  /** The cart answers 404 only with the log's end read, so what was produced before is known without waiting. */
  async function updateOrderedAsKnown(cartUrl: string, order_id: string) {
    const updated = await updateOrder(cartUrl, { order_id, status: "shipped" });
    expect(updated.status).toBe(200);
    return updated;
  }
});
