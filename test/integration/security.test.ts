import { expect, test } from "bun:test";
import { type Admin, Partitioners } from "kafkajs";
import type { readiness } from "../../src/http/health.ts";
import { pythonCreate } from "../support/events/python-events.ts";
import { createOrder, orderDetails, orderIds, updateOrder } from "../support/http/http.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { refuseRead, type SecuredKafka, securedSuite, type User, users } from "../support/brokers/secured-kafka.ts";
import { waitUntil } from "../support/wait-until.ts";

const test_ms_max = 30_000;
/** No request may take longer, whatever the broker does. */
const answer_ms_max = 5_000;
/** A failed attempt to connect logs at least one line; this many show that the program goes on trying. */
const attempt_lines_min = 12;
/** Time for several attempts to join the group, with BACKOFF_MS_MAX as below. */
const attempts_ms = 1_500;

/** The settings of a user. Topics and group begin with the user's name, as the permissions do. */
function settings({ port, caFile }: SecuredKafka, { mechanism, name, password }: User) {
  return {
    KAFKA_BROKERS: `127.0.0.1:${port}`,
    KAFKA_TLS: "true",
    KAFKA_TLS_CA_FILE: caFile,
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: name,
    KAFKA_SASL_PASSWORD: password,
    ORDERS_TOPIC: `${name}.orders`,
    CONSUMER_GROUP: `${name}.group`,
    CART_GROUP: `${name}.carts`,
    TOPIC_PARTITIONS: "3",
    SESSION_TIMEOUT_MS: "6000",
    BACKOFF_MS_MAX: "400",
  };
}

interface LogLine {
  readonly level: string;
  readonly msg: string;
}

/** What the program has logged so far; should it have crashed, its last words are no JSON. */
function logLines(program: Program): LogLine[] {
  const lines = program.output().match(/^\{.*\}$/gm) ?? [];
  return lines.map((line) => JSON.parse(line) as LogLine);
}

const warnings = (program: Program) => logLines(program).filter(({ level }) => level === "warn");

async function readyAnswer(url: string) {
  const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(answer_ms_max) });
  return { status: response.status, body: (await response.json()) as ReturnType<typeof readiness> };
}

async function statusOf(url: string): Promise<number> {
  const response = await fetch(url, { signal: AbortSignal.timeout(answer_ms_max) });
  return response.status;
}

await securedSuite("TLS, logins and permissions", (kafka) => {
  test.each([users.plain, users.scram256, users.scram512])(
    "by TLS under a private authority and $mechanism a create is confirmed and can be read",
    async (user) => {
      await using program = await startProgram({ env: { ...settings(kafka(), user), LOG_LEVEL: "trace" } });
      await program.ready();
      const created = await createOrder(program.cartUrl, { order_id: "1", number_of_items: 1 });
      expect([created.status, created.body.orderId]).toEqual([200, "ORD-1"]);
      const position = created.headers.get("log-position") ?? "";
      const read = await orderDetails(program.orderUrl, "1", { "log-position": position });
      expect([read.status, read.body.order?.orderId]).toEqual([200, "ORD-1"]);
      expect(program.output()).not.toContain(user.password);
    },
    test_ms_max,
  );

  const wrongPassword = () => ({ KAFKA_SASL_PASSWORD: "another-password" });
  const refusals: [what: string, user: User, spoilt: () => Record<string, string>, why: RegExp][] = [
    ["a wrong password by plain", users.plain, wrongPassword, /authentication failed/i],
    ["a wrong password by scram-sha-256", users.scram256, wrongPassword, /authentication failed/i],
    ["a wrong password by scram-sha-512", users.scram512, wrongPassword, /authentication failed/i],
    // An empty setting counts as unset: only the system's authorities are trusted then.
    ["an authority that is not trusted", users.plain, () => ({ KAFKA_TLS_CA_FILE: "" }), /self.signed certificate/i],
    [
      "a certificate for another host",
      users.plain,
      () => ({ KAFKA_BROKERS: `localhost:${kafka().port}` }),
      /does not match certificate/i,
    ],
  ];
  test.each(refusals)(
    "with %s the program stays up, says why, tries on and answers 503",
    async (_what, user, spoilt, why) => {
      const env = { ...settings(kafka(), user), LOG_LEVEL: "debug", ...spoilt() };
      await using program = await startProgram({ env });
      await program.live();
      const { cartUrl, orderUrl } = program;
      await waitUntil(
        () => `for attempts that fail by ${String(why)}. The program said:\n${program.output()}`,
        () => logLines(program).filter(({ msg }) => why.test(msg)).length >= attempt_lines_min,
      );
      const told = warnings(program).map(({ msg }) => msg);
      expect(told.toSorted()).toEqual([
        expect.stringMatching(new RegExp(`^The cart service waits for the log: .*${why.source}`, why.flags)),
        expect.stringMatching(new RegExp(`^The order service waits for the log: .*${why.source}`, why.flags)),
      ]);

      const asked_ms = performance.now();
      const answers = await Promise.all([
        createOrder(cartUrl, { order_id: "1", number_of_items: 1 }),
        updateOrder(cartUrl, { order_id: "1", status: "new" }),
        orderDetails(orderUrl, "1"),
        orderIds(orderUrl, env.ORDERS_TOPIC),
      ]);
      expect(performance.now() - asked_ms).toBeLessThan(answer_ms_max);
      expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
      for (const url of [cartUrl, orderUrl]) {
        expect([await statusOf(`${url}/health/live`), await statusOf(`${url}/health/ready`)]).toEqual([200, 503]);
      }
      expect(program.output()).not.toContain(env.KAFKA_SASL_PASSWORD);
    },
    test_ms_max,
  );

  test(
    "a user who may not create the topics waits for them, says so, and works once they are there",
    async () => {
      const env = settings(kafka(), users.guest);
      const topic = env.ORDERS_TOPIC;
      const deadLetterTopic = `${topic}.dlq`;
      await using admin = await connected(kafka().superClient.admin());
      await using program = await startProgram({ role: "consumer", env });
      const { orderUrl } = program;
      await program.live();
      await waitUntil("the order service to say what it waits for", () => warnings(program).length > 0);
      expect(warnings(program)).toEqual([
        expect.objectContaining({ topic, msg: expect.stringMatching(/^The order service waits for the log: .*authoriz/i) }),
      ]);
      expect([await statusOf(`${orderUrl}/health/live`), await statusOf(`${orderUrl}/health/ready`)]).toEqual([200, 503]);
      expect((await orderDetails(orderUrl, "5")).status).toBe(503);
      expect(await admin.client.listTopics()).not.toContain(topic);

      const topics = [topic, deadLetterTopic].map((name) => ({ topic: name, numPartitions: 2, replicationFactor: 1 }));
      await admin.client.createTopics({ topics });
      await program.ready();
      await using producer = await connected(
        kafka().superClient.producer({ createPartitioner: Partitioners.DefaultPartitioner }),
      );
      // The poison stands before the event, so it must become a dead letter first: that needs permissions of its own.
      const messages = ["poison", pythonCreate("ORD-5")].map((value) => ({ key: "ORD-5", value }));
      await producer.client.send({ topic, messages });
      await waitUntil(
        () => `the order. The program said:\n${program.output()}`,
        async () => (await orderDetails(orderUrl, "5")).status === 200,
      );
      // The end of its transaction becomes visible a moment later.
      await waitUntil("the dead letter", async () => (await recordsIn(admin.client, deadLetterTopic)) > 0);
    },
    test_ms_max,
  );

  test(
    "a user who may see the topic and not read it: the order service says why, is not ready and denies no order",
    async () => {
      const env = { ...settings(kafka(), users.plain), ORDERS_TOPIC: `${users.plain.name}.unread` };
      const topic = env.ORDERS_TOPIC;
      await using admin = await connected(kafka().superClient.admin());
      await using producer = await connected(
        kafka().superClient.producer({ createPartitioner: Partitioners.DefaultPartitioner }),
      );
      await admin.client.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1 }] });
      const allowAgain = await refuseRead(admin.client, users.plain, "TOPIC", topic);
      await using program = await startProgram({ role: "consumer", env });
      const { orderUrl } = program;
      await program.live();
      await waitUntil(
        () => `the order service to say why. The program said:\n${program.output()}`,
        () => warnings(program).length > 0,
      );
      await producer.client.send({ topic, messages: [{ key: "ORD-5", value: pythonCreate("ORD-5") }] });

      const refused = await waitUntil(
        () => `the order service not to be ready. The program said:\n${program.output()}`,
        async () => {
          const { status, body } = await readyAnswer(orderUrl);
          return status === 503 && body.status === "unreadable" && body;
        },
      );
      expect(refused.reason).toContain("grant READ on it to this user");
      expect((await orderDetails(orderUrl, "5")).status).toBe(503);
      expect(warnings(program).filter(({ msg }) => !msg.includes("created with 1 replica"))).toEqual([
        expect.objectContaining({ msg: expect.stringMatching(/^Reading the records of paula\.unread fails .*grant READ/) }),
      ]);

      await allowAgain();
      await program.ready();
      await waitUntil("the order", async () => (await orderDetails(orderUrl, "5")).status === 200);
      expect(warnings(program).slice(-1)).toEqual([
        expect.objectContaining({ msg: expect.stringMatching(/^Reading the records of paula\.unread works again/) }),
      ]);
    },
    test_ms_max,
  );

  test(
    "a user who may not join the group: the order service says so once, and joins when it may",
    async () => {
      const env = { ...settings(kafka(), users.plain), CONSUMER_GROUP: `${users.plain.name}.closed-group` };
      await using admin = await connected(kafka().superClient.admin());
      const allowAgain = await refuseRead(admin.client, users.plain, "GROUP", env.CONSUMER_GROUP);
      await using program = await startProgram({ role: "consumer", env });
      const { orderUrl } = program;
      await program.live();
      await waitUntil(
        () => `the order service to say why. The program said:\n${program.output()}`,
        () => warnings(program).length > 0,
      );
      await Bun.sleep(attempts_ms);
      expect(await readyAnswer(orderUrl)).toMatchObject({ status: 503, body: { status: "joining" } });
      await allowAgain();
      await program.ready();
      expect(warnings(program)).toEqual([
        expect.objectContaining({
          msg: expect.stringMatching(/^Joining the group paula\.closed-group fails .*: .*authoriz/i),
        }),
        expect.objectContaining({ msg: expect.stringMatching(/^Joining the group .* works again/) }),
      ]);
    },
    test_ms_max,
  );
});

/** Connects a client of kafkajs and disconnects it when the scope is left. */
async function connected<Client extends { connect(): Promise<void>; disconnect(): Promise<void> }>(client: Client) {
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.disconnect() };
}

async function recordsIn(admin: Admin, topic: string): Promise<number> {
  const partitions = await admin.fetchTopicOffsets(topic);
  return partitions.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
}
