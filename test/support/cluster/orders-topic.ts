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
  /** The next order that belongs in the partition; each is given once. */
  newOrder(partition: number): string;
}

export interface OrdersTopicOptions {
  /** The nodes of each partition's replicas. */
  readonly layout: readonly (readonly number[])[];
  readonly configs?: Readonly<Record<string, string | number | boolean>>;
  /** Of the dead-letter topic; as `layout` where it is not given. */
  readonly deadLetterLayout?: readonly (readonly number[])[];
  readonly deadLetterConfigs?: Readonly<Record<string, string | number | boolean>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly brokers?: string;
}

/** Kept for ever, as the topic's state needs it. */
const KEPT = { "retention.ms": -1 };

/** Replicas of each partition on all nodes, the first leader in turn. */
export const spread = (partitions: number): number[][] =>
  Array.from({ length: partitions }, (_, partition) => [0, 1, 2].map((i) => 1 + ((partition + i) % 3)));

/** Both topics are made. */
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

/** The same for programs that log in; all that they need is allowed. */
export async function ordersTopicWithLogin(cluster: Cluster, options: OrdersTopicOptions): Promise<OrdersTopic> {
  const { name, password } = CLUSTER_USER;
  const login = { KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_USERNAME: name, KAFKA_SASL_PASSWORD: password };
  const orders = await ordersTopic(cluster, { ...options, brokers: cluster.secured, env: { ...login, ...options.env } });
  await cluster.admin.allow(name, Object.values(rightsOf(orders)).flat());
  return orders;
}

/** What the services need, right by right. */
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

/** No topic is made. */
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

/** One order's create at a cart: the code of the problem, or the status where it is none. */
export async function created(program: Pick<Program, "cartUrl">, order_id: string): Promise<string> {
  return codeOf(await createOrder(program.cartUrl, { order_id, number_of_items: 1 }));
}

export async function updated(program: Pick<Program, "cartUrl">, order_id: string, status = "shipped"): Promise<string> {
  return codeOf(await updateOrder(program.cartUrl, { order_id, status }));
}

export async function read(program: Pick<Program, "orderUrl">, orderId: string): Promise<string> {
  return codeOf(await orderDetails(program.orderUrl, orderId));
}

/** Waits for an answer; tells the last one where it does not come. */
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
