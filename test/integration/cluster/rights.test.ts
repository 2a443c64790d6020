import { expect, test } from "bun:test";
import { type Cluster, CLUSTER_USER } from "../../support/cluster/cluster.ts";
import { clusterSuite } from "../../support/cluster/cluster-suite.ts";
import { letterCount } from "../../support/cluster/letters.ts";
import {
  answered,
  appendForeign,
  created,
  health,
  live,
  namedTopic,
  type OrdersTopic,
  ordersTopicWithLogin,
  read,
  readable,
  rightsOf,
  spread,
  warnings,
} from "../../support/cluster/orders-topic.ts";
import { type Program, startProgram } from "../../support/programs/processes.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 90_000;
/** The time within which a right that is taken away or given back takes effect. */
const FELT_MS_MAX = 10_000;
/** The time by which an answer that the broker gave earlier has arrived. */
const FETCHED_MS_MAX = 300;
const BACK_MS_MAX = 5_000;
const KNOWN = 6;

type Right = keyof ReturnType<typeof rightsOf>;

interface Case {
  readonly orders: OrdersTopic;
  readonly program: Program;
  readonly known: readonly string[];
  take(): Promise<void>;
  giveBack(): Promise<void>;
}

/** A topic for programs that log in, and a right that is taken from them and given back. */
async function ordersWithRights(
  cluster: Cluster,
  right: Right,
): Promise<{ orders: OrdersTopic; take: Case["take"]; giveBack: Case["giveBack"] }> {
  const orders = await ordersTopicWithLogin(cluster, { layout: spread(2) });
  const rights = rightsOf(orders)[right];
  return {
    orders,
    take: () => cluster.admin.disallow(CLUSTER_USER.name, rights),
    giveBack: () => cluster.admin.allow(CLUSTER_USER.name, rights),
  };
}

/** What holds while the right is missing, and what holds once it is given back. */
interface Expected {
  readonly refused: (one: Case, cluster: Cluster) => Promise<void>;
  readonly again: (one: Case, cluster: Cluster) => Promise<void>;
  /** Matches the sentence in health or in the log that names the cause. */
  readonly cause: RegExp;
}

const createsAgain: Expected["again"] = async ({ program, orders }) => {
  for (const partition of [0, 1])
    await waitUntil("creates again", async () => (await created(program, orders.newOrder(partition))) === "200", {
      wait_ms_max: BACK_MS_MAX,
    });
};

const readsAgain: Expected["again"] = async ({ program, orders }, cluster) => {
  await appendForeign(cluster, orders, 0, orders.newOrder(0));
  const last = orders.newOrder(0);
  await appendForeign(cluster, orders, 0, last);
  await readable(program, last, BACK_MS_MAX);
};

/** Poison in partition 0 has no way out: that partition says so, and the other one works. */
const blocked: Expected["refused"] = async ({ program, orders, known }, cluster) => {
  await cluster.admin.produce(orders.topic, 0, [{ key: "x", value: "no event" }]);
  const behind = orders.newOrder(0);
  await appendForeign(cluster, orders, 0, behind);
  const seen: string[] = [];
  await waitUntil(
    () => `for the partition to be blocked, an order behind the poison was ${seen.at(-1)}; ${program.output().slice(-1_000)}`,
    async () => {
      seen.push(await read(program, behind));
      return seen.at(-1) === "503 PARTITION_BLOCKED";
    },
    { wait_ms_max: FELT_MS_MAX },
  );
  expect(await read(program, orders.newOrder(0))).toBe("503 PARTITION_BLOCKED");
  const { http, status, partitions } = await health(program.orderUrl);
  expect([http, status, partitions.find(({ partition }) => partition === 0)?.state]).toEqual([503, "blocked", "blocked"]);
  expect(partitions.find(({ partition }) => partition === 1)?.state).toBe("running");
  const elsewhere = orders.newOrder(1);
  expect(await created(program, elsewhere)).toBe("200");
  await readable(program, elsewhere);
  await readable(program, known[0] as string);
};

const unblocked: Expected["again"] = async ({ program, orders }, cluster) => {
  await waitUntil("the letter", async () => (await letterCount(cluster, orders)) === 1, { wait_ms_max: FELT_MS_MAX });
  const last = orders.newOrder(0);
  await appendForeign(cluster, orders, 0, last);
  await readable(program, last, BACK_MS_MAX);
  await program.ready();
};

const expectations: Readonly<Partial<Record<Right, Expected>>> = {
  writeTopic: {
    cause: /grant[^.]*WRITE/,
    refused: async ({ program, orders, known }) => {
      await waitUntil(
        "creates to be refused for good",
        async () => (await created(program, orders.newOrder(0))) === "503 APPEND_REFUSED",
        { wait_ms_max: FELT_MS_MAX },
      );
      for (const orderId of known) expect(await read(program, orderId)).toBe("200");
    },
    again: createsAgain,
  },
  readTopic: {
    cause: /grant[^.]*READ/,
    refused: async ({ program, orders }, cluster) => {
      let unseen = "";
      const readNext = async () => {
        unseen = orders.newOrder(0);
        await appendForeign(cluster, orders, 0, unseen);
        await Bun.sleep(FETCHED_MS_MAX);
        return read(program, unseen);
      };
      await answered("an order that cannot be read", readNext, /^503 LOG_UNAVAILABLE$/, FELT_MS_MAX);
      expect(await created(program, unseen)).not.toBe("200");
    },
    again: readsAgain,
  },
  readGroup: {
    cause: /grant[^.]*READ on the group/,
    refused: async ({ program, known }) => {
      await waitUntil("the order service to be no member", async () => (await health(program.orderUrl)).http === 503, {
        wait_ms_max: FELT_MS_MAX,
      });
      expect(await read(program, known[0] as string)).toMatch(/^(200|503|421)/);
    },
    again: async ({ program, known }) => {
      await program.ready(FELT_MS_MAX);
      await readable(program, known[0] as string);
    },
  },
  writeLetters: { cause: /grant[^.]*WRITE/, refused: blocked, again: unblocked },
  transactions: { cause: /grant[^.]*transactional id/, refused: blocked, again: unblocked },
};

const causeIsLogged = (program: Program, cause: RegExp) =>
  waitUntil(
    () => `for ${cause} in the log:\n${program.output().slice(-3_000)}`,
    () => cause.test(warnings(program).join("\n")),
  );

async function causeIsInHealth(program: Program, cause: RegExp): Promise<void> {
  const answers = [await health(program.cartUrl), await health(program.orderUrl)];
  expect(JSON.stringify(answers)).toMatch(cause);
  expect(await live(program)).toEqual([200, 200]);
}

await clusterSuite("rights", (cluster) => {
  const rights = Object.entries(expectations) as [Right, Expected][];
  test.each(rights)(
    "%s is missing at the start, and is taken away and given back while it runs: the cause is said, nothing is denied, and it goes on by itself",
    async (right, { cause, refused, again }) => {
      const prepared = await ordersWithRights(cluster(), right);
      await prepared.take();
      await using program = await startProgram({ env: prepared.orders.env });
      await program.live();
      // A missing right to write is noticed only when somebody writes.
      if (right === "writeTopic") {
        await program.ready();
        expect(await created(program, prepared.orders.newOrder(0))).toBe("503 APPEND_REFUSED");
      }
      await causeIsLogged(program, cause);
      await prepared.giveBack();
      await program.ready();

      const known = Array.from({ length: KNOWN }, (_, i) => prepared.orders.newOrder(i % 2));
      const one: Case = { ...prepared, program, known };
      // Each broker learns of a right on its own.
      await createsAgain(one, cluster());
      for (const orderId of known) expect(await created(program, orderId)).toBe("200");
      for (const orderId of known) await readable(program, orderId);
      await prepared.take();
      await refused(one, cluster());
      await causeIsLogged(program, cause);
      await causeIsInHealth(program, cause);
      await prepared.giveBack();
      await again(one, cluster());
    },
    TIMEOUT_MS,
  );

  test(
    "to create the topics is missing: that is what is asked for, and once it is given they are created",
    async () => {
      const { name, password } = CLUSTER_USER;
      const login = { KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_USERNAME: name, KAFKA_SASL_PASSWORD: password };
      const orders = namedTopic(2, { KAFKA_BROKERS: cluster().secured, ...login });
      await cluster().admin.allow(name, Object.values(rightsOf(orders)).flat());
      await using program = await startProgram({ env: orders.env });
      await program.live();
      await causeIsLogged(program, /cannot be created: TOPIC_AUTHORIZATION_FAILED: grant this user CREATE on the topic/);
      const create = [orders.topic, orders.deadLetterTopic].map(
        (topic) => ({ resource: "topic", name: topic, operation: "create" }) as const,
      );
      await cluster().admin.allow(name, create);
      await program.ready();
      expect(await created(program, orders.newOrder(0))).toBe("200");
    },
    TIMEOUT_MS,
  );
});
