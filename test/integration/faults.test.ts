import { expect, test } from "bun:test";
import { createServer } from "node:net";
import { Kafka, logLevel } from "kafkajs";
import { broker_start_ms_max, brokerSuite } from "../support/brokers/broker.ts";
import { createOrder, orderDetails, updateOrder } from "../support/http/http.ts";
import { freePort } from "../support/brokers/ports.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 120_000 + broker_start_ms_max;
/** The promises: an answer within 5 s, at work within 10 s of the broker's return, stopped within 10 s. */
const ANSWER_MS_MAX = 5_000;
const RETURN_MS_MAX = 10_000;
const STOP_MS_MAX = 10_000;

const names = () => {
  const id = crypto.randomUUID().slice(0, 8);
  return { ORDERS_TOPIC: `orders.${id}`, CONSUMER_GROUP: `group.${id}`, TOPIC_PARTITIONS: "4", SESSION_TIMEOUT_MS: "6000" };
};

/**
 * Creates one order with its key until it is answered for good, as a careful client does; the cart may be started anew
 * meanwhile.
 */
async function createWithRetries(cartUrl: () => string, orderId: string, until_ms: number): Promise<boolean> {
  while (performance.now() < until_ms) {
    const answer = await createOrder(
      cartUrl(),
      { order_id: orderId, number_of_items: 1 },
      { "idempotency-key": `key-${orderId}` },
    ).catch(() => undefined);
    if (answer?.status === 200) return true;
    if (answer && answer.status !== 503 && answer.status !== 409)
      throw new Error(`${orderId}: ${answer.status} ${answer.body.detail}`);
    await Bun.sleep(50);
  }
  return false;
}

async function eventuallyReadable(orderUrl: string, orderIds: readonly string[], status: string): Promise<void> {
  for (const orderId of orderIds) {
    await waitUntil(
      `${orderId} at ${orderUrl}`,
      async () => {
        const answer = await orderDetails(orderUrl, orderId);
        // An acknowledged order may be late, but is never denied once everything is read.
        return answer.status === 200 && answer.body.order?.status === status;
      },
      { wait_ms_max: 15_000 },
    );
  }
}

/**
 * The event ids of each order's creates in the topic: the same event may stand twice, but another create may not win.
 */
async function eventIdsByOrder(brokers: string, topic: string): Promise<Map<string, Set<string>>> {
  const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const total = (await admin.fetchTopicOffsets(topic)).reduce((sum, { high }) => sum + Number(high), 0);
  await admin.disconnect();
  const consumer = kafka.consumer({ groupId: `read-${crypto.randomUUID()}`, maxWaitTimeInMs: 200 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const creates = new Map<string, Set<string>>();
  let read = 0;
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message }) => {
      read++;
      const event = JSON.parse(String(message.value)) as { event_id: string; event_type: string; order_id: string };
      if (event.event_type !== "ORDER_CREATED") return;
      creates.set(event.order_id, (creates.get(event.order_id) ?? new Set()).add(event.event_id));
    },
  });
  await waitUntil("the topic's end", () => read >= total, { wait_ms_max: 20_000 });
  await consumer.disconnect();
  return creates;
}

test("invalid settings are all told at once; a taken port says which setting to change; --help tells all", async () => {
  await using wrong = await startProgram({ env: { CART_PORT: "x", PARTITIONER: "best", KAFKA_SASL_USERNAME: "me" } });
  expect((await wrong.exited()).code).toBe(2);
  for (const name of ["CART_PORT", "PARTITIONER", "KAFKA_SASL"]) expect(wrong.output()).toContain(name);
  const port = await freePort();
  const other = createServer().listen(port, "127.0.0.1");
  await using taken = await startProgram({ env: { CART_PORT: String(port) } });
  expect((await taken.exited()).code).toBe(2);
  expect(taken.output()).toContain("CART_PORT");
  other.close();
  const help = Bun.spawnSync([process.execPath, "src/main.ts", "--help"]);
  expect(help.exitCode).toBe(0);
  for (const name of ["KAFKA_BROKERS", "ORDERS_TOPIC", "APPEND_WAIT_MS_MAX", "BACKOFF_MS_MAX"])
    expect(String(help.stdout)).toContain(name);
}, 30_000);

test("embedded: kill -9 of both roles at any moment loses nothing acknowledged and doubles nothing (I1)", async () => {
  const dir = await tempDir();
  const acknowledged: string[] = [];
  for (let round = 0; round < 6; round++) {
    await using program = await startProgram({ dataDir: dir.path });
    await program.ready();
    await eventuallyReadable(program.orderUrl, acknowledged, "new");
    const running = { on: true };
    const load = Array.from({ length: 8 }, async (_, k) => {
      for (let i = 0; running.on; i++) {
        const orderId = `ORD-${round}0${k}0${i}`;
        const answer = await createOrder(program.cartUrl, { order_id: orderId, number_of_items: 1 }).catch(() => undefined);
        if (answer?.status === 200) acknowledged.push(orderId);
      }
    });
    await Bun.sleep(100 + 40 * round);
    program.kill("SIGKILL");
    running.on = false;
    await Promise.all(load);
    await program.exited();
  }
  expect(acknowledged.length).toBeGreaterThan(100);
  await using last = await startProgram({ dataDir: dir.path });
  await last.ready();
  await eventuallyReadable(last.orderUrl, acknowledged, "new");
}, 60_000);

await brokerSuite("faults", (broker) => {
  const onBroker = () => ({ KAFKA_BROKERS: broker.brokers, ...names() });

  test(
    "kill -9 of cart and consumer under load: nothing acknowledged is lost, nothing is doubled",
    async () => {
      const env = onBroker();
      const dirs = [await tempDir(), await tempDir()] as const;
      let cart: Program = await startProgram({ role: "producer", env, dataDir: dirs[0].path });
      let consumer: Program = await startProgram({ role: "consumer", env, dataDir: dirs[1].path });
      await Promise.all([cart.ready(), consumer.ready()]);
      const until_ms = performance.now() + 60_000;
      const killing = { on: true };
      const acknowledged: string[] = [];
      const load = Array.from({ length: 6 }, async (_, k) => {
        for (let i = 0; killing.on; i++) {
          const orderId = `ORD-${k}00${i}`;
          if (await createWithRetries(() => cart.cartUrl, orderId, until_ms)) acknowledged.push(orderId);
        }
      });
      for (let kill = 0; kill < 4; kill++) {
        await Bun.sleep(400 + 150 * kill);
        cart.kill("SIGKILL");
        if (kill % 2 === 0) consumer.kill("SIGKILL");
        await cart.exited();
        cart = await startProgram({ role: "producer", env, dataDir: dirs[0].path });
        if (kill % 2 === 0) consumer = await startProgram({ role: "consumer", env, dataDir: dirs[1].path });
        await cart.ready();
      }
      killing.on = false;
      await Promise.all(load);
      await consumer.ready(30_000);
      expect(acknowledged.length).toBeGreaterThan(50);
      await eventuallyReadable(consumer.orderUrl, acknowledged, "new");
      const creates = await eventIdsByOrder(broker.brokers, env.ORDERS_TOPIC);
      for (const orderId of acknowledged) expect(creates.get(orderId)?.size).toBe(1);
      await cart[Symbol.asyncDispose]();
      await consumer[Symbol.asyncDispose]();
    },
    TIMEOUT_MS,
  );

  test(
    "SIGTERM under load: exit 0 within 10 s, every 200 is kept, the group's offset is told",
    async () => {
      const env = onBroker();
      await using program = await startProgram({ env });
      await program.ready();
      const acknowledged: string[] = [];
      const running = { on: true };
      const load = Array.from({ length: 8 }, async (_, k) => {
        for (let i = 0; running.on; i++) {
          const orderId = `ORD-${k}00${i}`;
          const answer = await createOrder(program.cartUrl, { order_id: orderId, number_of_items: 1 }).catch(() => undefined);
          if (answer?.status === 200) acknowledged.push(orderId);
          else await Bun.sleep(5);
        }
      });
      await Bun.sleep(700);
      const asked_ms = performance.now();
      program.kill("SIGTERM");
      expect((await program.exited(STOP_MS_MAX)).code).toBe(0);
      expect(performance.now() - asked_ms).toBeLessThan(STOP_MS_MAX);
      running.on = false;
      await Promise.all(load);
      const admin = new Kafka({ brokers: broker.brokers.split(","), logLevel: logLevel.NOTHING }).admin();
      await admin.connect();
      const [committed] = await admin.fetchOffsets({ groupId: env.CONSUMER_GROUP, topics: [env.ORDERS_TOPIC] });
      await admin.disconnect();
      expect(committed?.partitions.some(({ offset }) => Number(offset) > 0)).toBe(true);
      await using again = await startProgram({ env });
      await again.ready();
      expect(acknowledged.length).toBeGreaterThan(50);
      await eventuallyReadable(again.orderUrl, acknowledged, "new");
    },
    TIMEOUT_MS,
  );

  test(
    "a consumer stopped past its session is replaced; when it goes on it denies nothing, and both share again",
    async () => {
      const env = onBroker();
      await using cart = await startProgram({ role: "producer", env });
      await using a = await startProgram({ role: "consumer", env });
      await using b = await startProgram({ role: "consumer", env });
      await Promise.all([cart.ready(), a.ready(), b.ready()]);
      const orders = Array.from({ length: 20 }, (_, i) => `ORD-${i}`);
      for (const order_id of orders) expect((await createOrder(cart.cartUrl, { order_id, number_of_items: 1 })).status).toBe(200);
      a.kill("SIGSTOP");
      await waitUntil(
        "b to serve all",
        async () => {
          for (const orderId of orders) if ((await orderDetails(b.orderUrl, orderId)).status !== 200) return false;
          return true;
        },
        { wait_ms_max: 25_000, interval_ms: 200 },
      );
      for (const order_id of orders) expect((await updateOrder(cart.cartUrl, { order_id, status: "shipped" })).status).toBe(200);
      a.kill("SIGCONT");
      for (let i = 0; i < 40; i++) {
        for (const orderId of orders.slice(0, 4)) expect((await orderDetails(a.orderUrl, orderId)).status).not.toBe(404);
        expect((await orderDetails(a.orderUrl, "4711")).status).not.toBe(404);
        await Bun.sleep(20);
      }
      await Promise.all([a.ready(30_000), b.ready(30_000)]);
      await waitUntil(
        "each order from one of the two",
        async () => {
          for (const orderId of orders) {
            const answers = await Promise.all([orderDetails(a.orderUrl, orderId), orderDetails(b.orderUrl, orderId)]);
            const good = answers.filter(({ status, body }) => status === 200 && body.order?.status === "shipped");
            if (good.length !== 1) return false;
          }
          return true;
        },
        { wait_ms_max: 20_000, interval_ms: 200 },
      );
    },
    TIMEOUT_MS,
  );

  test.skipIf(!broker.canRestart)(
    "the broker away, at the start and in the middle: 503 within 5 s, at work within 10 s of its return",
    async () => {
      const env = onBroker();
      await broker.kill();
      await using program = await startProgram({ env });
      await program.live();
      const refusedSoon = async () => {
        const asked_ms = performance.now();
        const answers = await Promise.all([
          createOrder(program.cartUrl, { order_id: String(Math.floor(Math.random() * 1e9)), number_of_items: 1 }),
          updateOrder(program.cartUrl, { order_id: "987654321", status: "shipped" }),
          orderDetails(program.orderUrl, "987654321"),
        ]);
        expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
        for (const { headers } of answers) expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
        expect(performance.now() - asked_ms).toBeLessThan(ANSWER_MS_MAX);
      };
      await refusedSoon();
      await broker.start();
      await program.ready(RETURN_MS_MAX);
      expect((await createOrder(program.cartUrl, { order_id: "1", number_of_items: 1 })).status).toBe(200);
      const load = Array.from({ length: 20 }, async (_, i) => {
        for (let n = 0; n < 15; n++) {
          const asked_ms = performance.now();
          const answer = await createOrder(program.cartUrl, { order_id: `${i}00${n}`, number_of_items: 1 });
          expect(performance.now() - asked_ms).toBeLessThan(ANSWER_MS_MAX);
          expect([200, 503]).toContain(answer.status);
          if (answer.status === 200) acknowledged.push(`ORD-${i}00${n}`);
          else await Bun.sleep(300);
        }
      });
      const acknowledged = ["ORD-1"];
      await Bun.sleep(20);
      await broker.kill();
      await Bun.sleep(2_000);
      await refusedSoon();
      await broker.start();
      const back_ms = performance.now();
      await waitUntil(
        "creates again",
        async () =>
          (await createOrder(program.cartUrl, { order_id: String(Math.floor(Math.random() * 1e9)), number_of_items: 1 }))
            .status === 200,
        { wait_ms_max: RETURN_MS_MAX },
      );
      await program.ready(RETURN_MS_MAX);
      expect(performance.now() - back_ms).toBeLessThan(RETURN_MS_MAX);
      await Promise.all(load);
      await eventuallyReadable(program.orderUrl, acknowledged, "new");
    },
    TIMEOUT_MS,
  );
});
