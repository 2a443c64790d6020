import { partitionFor } from "../../../src/log/partitioner.ts";
import { pythonCreate } from "../events/python-events.ts";
import { createOrder, orderDetails, updateOrder } from "../http/http.ts";
import type { Program } from "../programs/processes.ts";
import { waitUntil } from "../wait-until.ts";
import type { Acl } from "./rights-and-quotas.ts";
import { type Cluster, CLUSTER_USER } from "./cluster.ts";

/** A topic of one test, its dead-letter topic, and the settings of the programs that use it. */
export interface OrdersTopic {
  readonly topic: string;
  readonly deadLetterTopic: string;
  readonly partitions: number;
  readonly env: Readonly<Record<string, string>>;
  /** The next order id that belongs in the partition; each is given once. */
  newOrder(partition: number): string;
}

export interface OrdersTopicOptions {
  /** The nodes of each partition's replicas. */
  readonly layout: readonly (readonly number[])[];
  readonly configs?: Readonly<Record<string, string | number | boolean>>;
  /** The layout of the dead-letter topic; by default that of the topic. */
  readonly deadLetterLayout?: readonly (readonly number[])[];
  readonly deadLetterConfigs?: Readonly<Record<string, string | number | boolean>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly brokers?: string;
}

/** Records are kept for ever, since the state is built from them. */
const KEPT = { "retention.ms": -1 };

/** A layout with replicas of each partition on all nodes, which take turns as first leader. */
export const spread = (partitions: number): number[][] =>
  Array.from({ length: partitions }, (_, partition) => [0, 1, 2].map((i) => 1 + ((partition + i) % 3)));

/** Creates both topics. */
export async function ordersTopic(cluster: Cluster, options: OrdersTopicOptions): Promise<OrdersTopic> {
  const {
    layout,
    configs = {},
    deadLetterLayout = layout,
    deadLetterConfigs = {},
    brokers = cluster.brokers,
    env = {},
  } = options;
  const named = namedTopic(layout.length, { KAFKA_BROKERS: brokers, ...env });
  await cluster.admin.createTopic(named.topic, layout, { ...KEPT, ...configs });
  await cluster.admin.createTopic(named.deadLetterTopic, deadLetterLayout, { ...KEPT, ...deadLetterConfigs });
  return named;
}

/** Creates both topics for programs that log in, and allows all that they need. */
export async function ordersTopicWithLogin(cluster: Cluster, options: OrdersTopicOptions): Promise<OrdersTopic> {
  const { name, password } = CLUSTER_USER;
  const login = { KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_USERNAME: name, KAFKA_SASL_PASSWORD: password };
  const orders = await ordersTopic(cluster, { ...options, brokers: cluster.secured, env: { ...login, ...options.env } });
  await cluster.admin.allow(name, Object.values(rightsOf(orders)).flat());
  return orders;
}

/** The rights that the services need, each by itself. */
export function rightsOf({ topic, deadLetterTopic, env }: OrdersTopic) {
  const group = env["CONSUMER_GROUP"] as string;
  return {
    readTopic: [{ resource: "topic", name: topic, operation: "read" }],
    writeTopic: [{ resource: "topic", name: topic, operation: "write" }],
    describeTopics: [topic, deadLetterTopic].map((name) => ({ resource: "topic", name, operation: "describe" })),
    readLetters: [{ resource: "topic", name: deadLetterTopic, operation: "read" }],
    writeLetters: [{ resource: "topic", name: deadLetterTopic, operation: "write" }],
    readGroup: [{ resource: "group", name: group, operation: "read" }],
    transactions: (["write", "describe"] as const).map((operation) => ({
      resource: "transactional-id",
      name: topic,
      prefix: true,
      operation,
    })),
  } as const satisfies Record<string, readonly Acl[]>;
}

/** Names and settings of topics that it does not create. */
export function namedTopic(partitions: number, env: Readonly<Record<string, string>>): OrdersTopic {
  const id = crypto.randomUUID().slice(0, 8);
  const topic = `orders.${id}`;
  let number = 0;
  return {
    topic,
    deadLetterTopic: `${topic}.dlq`,
    partitions,
    env: {
      ORDERS_TOPIC: topic,
      CONSUMER_GROUP: `group.${id}`,
      TOPIC_PARTITIONS: String(partitions),
      SESSION_TIMEOUT_MS: "6000",
      LOG_FORMAT: "json",
      ...env,
    },
    newOrder: (partition) => {
      for (;;) {
        const orderId = `ORD-${++number}`;
        if (partitionFor("murmur2", orderId, partitions) === partition) return orderId;
      }
    },
  };
}

/** Creates an order at a cart; returns the status, with the problem's code if there is one. */
export async function created(program: Pick<Program, "cartUrl">, order_id: string): Promise<string> {
  return codeOf(await createOrder(program.cartUrl, { order_id, number_of_items: 1 }));
}

export async function updated(program: Pick<Program, "cartUrl">, order_id: string, status = "shipped"): Promise<string> {
  return codeOf(await updateOrder(program.cartUrl, { order_id, status }));
}

export async function read(program: Pick<Program, "orderUrl">, orderId: string): Promise<string> {
  return codeOf(await orderDetails(program.orderUrl, orderId));
}

/** Waits for an answer; if it does not come, the error names the last one. */
export async function answered(what: string, ask: () => Promise<string>, wanted: RegExp, wait_ms_max = 10_000): Promise<void> {
  let last = "none";
  await waitUntil(
    () => `${what}: for an answer like ${String(wanted)}, the last was ${last}`,
    async () => wanted.test((last = await ask())),
    { wait_ms_max },
  );
}

const codeOf = ({ status, body }: { readonly status: number; readonly body: { readonly code?: string } }): string =>
  status === 200 ? "200" : `${status} ${body.code ?? ""}`;

/** Waits until the order service shows the order; a 404 meanwhile is no failure here. */
export const readable = (program: Pick<Program, "orderUrl">, orderId: string, wait_ms_max = 10_000): Promise<unknown> => {
  let last = "";
  return waitUntil(
    () => `for ${orderId} to be readable, the last answer was ${last}`,
    async () => (last = await read(program, orderId)) === "200",
    { wait_ms_max },
  );
};

/** An order that some other program appends to the partition. */
export async function appendForeign(
  cluster: Cluster,
  { topic }: OrdersTopic,
  partition: number,
  orderId: string,
): Promise<number> {
  return cluster.admin.produce(topic, partition, [{ key: orderId, value: pythonCreate(orderId) }]);
}

export interface HealthAnswer {
  readonly http: number;
  readonly status: string;
  readonly reason?: string;
  readonly partitions: readonly {
    readonly partition: number;
    readonly state: string;
    readonly offset: number;
    readonly end: number;
    readonly reason?: string;
    readonly halted?: string;
  }[];
}

/** What /health/ready says; `live` is the status of /health/live. */
export async function health(url: string): Promise<HealthAnswer> {
  const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(5_000) });
  return { ...((await response.json()) as HealthAnswer), http: response.status };
}

export async function live(program: Program): Promise<number[]> {
  const urls = [program.cartUrl, program.orderUrl];
  return Promise.all(urls.map(async (url) => (await fetch(`${url}/health/live`, { signal: AbortSignal.timeout(5_000) })).status));
}

/** Lines of the program's log at level warn or above. */
export const warnings = (program: Program): string[] =>
  (program.output().match(/^\{.*\}$/gm) ?? [])
    .map((line) => JSON.parse(line) as { level: string; msg: string })
    .filter(({ level }) => level !== "info" && level !== "debug" && level !== "trace")
    .map(({ msg }) => msg);
