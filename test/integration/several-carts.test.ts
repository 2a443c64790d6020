import { describe, expect, test } from "bun:test";
import { Kafka, logLevel } from "kafkajs";
import { brokerSuite } from "../support/brokers/broker.ts";
import { health } from "../support/cluster/orders-topic.ts";
import { createOrder, orderDetails, updateOrder } from "../support/http/http.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

describe("the embedded log", () => {
  test("a producer and two consumers in three processes share it; one of the consumers is killed, the other has all", async () => {
    await using consumer = await startProgram({ role: "consumer" });
    await consumer.ready();
    await using producer = await startProgram({ role: "producer", dataDir: consumer.dataDir });
    await producer.ready();
    const created = await createOrder(producer.cartUrl, { order_id: "1", number_of_items: 2 });
    expect(created.status).toBe(200);
    const position = { "log-position": created.headers.get("log-position") ?? "" };
    expect((await orderDetails(consumer.orderUrl, "1", position)).status).toBe(200);
    await using second = await startProgram({ role: "consumer", dataDir: consumer.dataDir });
    await second.ready();
    const held = async ({ orderUrl }: Program) => (await health(orderUrl)).partitions.map(({ partition }) => partition);
    await waitUntil("both to hold a half", async () => (await held(consumer)).length === 6 && (await held(second)).length === 6);
    const answersOf = async ({ orderUrl }: Program) => (await orderDetails(orderUrl, "1", position)).status;
    await waitUntil("both to answer", async () => (await answersOf(consumer)) === 200 && (await answersOf(second)) === 200);
    consumer.kill("SIGKILL");
    await waitUntil("the second to hold all", async () => (await held(second)).length === 12);
    await waitUntil("the second to answer", async () => (await answersOf(second)) === 200);
  }, 40_000);
});

await brokerSuite("several carts on a broker", ({ brokers }) => {
  test("an idempotency key answers as the first time through another cart too, and adds nothing", async () => {
    const id = crypto.randomUUID().slice(0, 8);
    const env = { KAFKA_BROKERS: brokers, ORDERS_TOPIC: `orders.${id}`, CONSUMER_GROUP: `group.${id}` };
    await using one = await startProgram({ role: "producer", env });
    await using two = await startProgram({ role: "producer", env });
    await Promise.all([one.ready(), two.ready()]);
    const key = { "idempotency-key": '"create-1"' };
    const first = await createOrder(one.cartUrl, { order_id: "1", number_of_items: 2 }, key);
    const again = await createOrder(two.cartUrl, { orderId: "ORD-1", numberOfItems: 2 }, key);
    expect([again.status, again.body, again.headers.get("log-position")]).toEqual([
      200,
      first.body,
      first.headers.get("log-position"),
    ]);
    const updateKey = { "idempotency-key": "update-1" };
    const update = await updateOrder(two.cartUrl, { order_id: "1", status: "shipped" }, updateKey);
    const updateAgain = await updateOrder(one.cartUrl, { order_id: "1", status: "shipped" }, updateKey);
    expect([updateAgain.status, updateAgain.headers.get("log-position")]).toEqual([200, update.headers.get("log-position")]);
    expect((await updateOrder(one.cartUrl, { order_id: "1", status: "new" }, updateKey)).status).toBe(422);
    const admin = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const ends = await admin.fetchTopicOffsets(env.ORDERS_TOPIC);
    await admin.disconnect();
    expect(ends.reduce((sum, { high }) => sum + Number(high), 0)).toBe(2);
  }, 60_000);

  test("of two different updates under one key at two carts at once one is 200 and one 422, and the order has the former's status", async () => {
    const id = crypto.randomUUID().slice(0, 8);
    const env = { KAFKA_BROKERS: brokers, ORDERS_TOPIC: `orders.${id}`, CONSUMER_GROUP: `group.${id}` };
    await using one = await startProgram({ env });
    await using two = await startProgram({ role: "producer", env });
    await Promise.all([one.ready(), two.ready()]);
    const statuses = ["shipped", "cancelled"] as const;
    for (let n = 1; n <= 20; n++) {
      await createOrder(one.cartUrl, { order_id: `${n}`, number_of_items: 1 });
      await updateOrder(two.cartUrl, { order_id: `${n}`, status: "pending" });
      const answers = await Promise.all(
        [one, two].map(({ cartUrl }, i) =>
          updateOrder(cartUrl, { order_id: `${n}`, status: statuses[i] }, { "idempotency-key": `both-${n}` }),
        ),
      );
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 422]);
      const winner = answers.findIndex(({ status }) => status === 200);
      const position = answers[winner]?.headers.get("log-position") ?? "";
      const details = await orderDetails(one.orderUrl, `${n}`, { "log-position": position });
      expect(details.body.order?.status).toBe(statuses[winner]);
    }
  }, 60_000);
});
