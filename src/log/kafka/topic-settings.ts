import type { Clock } from "../../system/clock.ts";
import { AppError } from "../../errors.ts";
import type { CreatedTopic, TopicDescription, TopicOptions } from "../port.ts";
import type { Connections } from "./connection/connections.ts";
import type { TopicLeaders } from "./connection/leaders.ts";
import {
  describeError,
  ERROR_CLUSTER_AUTHORIZATION_FAILED,
  ERROR_INVALID_CONFIG,
  ERROR_INVALID_REPLICATION_FACTOR,
  ERROR_TOPIC_AUTHORIZATION_FAILED,
  ERROR_TOPIC_EXISTS,
  protocolError,
  unavailable,
} from "./protocol/errors.ts";
import { metadataExchange } from "./protocol/metadata.ts";
import {
  CREATE_TOPICS_DEFAULTS_VERSION_MIN,
  createTopicExchange,
  describeTopicExchange,
  type Refusal,
  setTopicSettingExchange,
  type TopicToCreate,
} from "./protocol/topics.ts";

export interface TopicContext {
  readonly topic: string;
  readonly connections: Connections;
  readonly leaders: TopicLeaders;
  readonly clock: Clock;
}

const REQUEST_MS_MAX = 5_000;
const LEADERS_WAIT_MS = 50;
const LEADERS_WAIT_MS_MAX = 5_000;
const API_CREATE_TOPICS = 19;
const API_INCREMENTAL_ALTER_CONFIGS = 44;
const DEFAULT_REPLICAS = -1;
/** The number of replicas to ask for if the broker cannot be asked for its default. */
const REPLICAS_MAX = 3;
const MIN_INSYNC = "min.insync.replicas";
const INT64_MAX = "9223372036854775807";

/** All records are kept for ever, since the state is made of them. */
const KEPT_FOR_EVER = { "cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1" };
/**
 * Kafka 3.6 and later (KIP-937) and Redpanda 25.3 and later know these settings. Other brokers take any timestamp, or
 * have another name for the setting.
 */
const ANY_TIMESTAMP = {
  "message.timestamp.type": "CreateTime",
  "message.timestamp.before.max.ms": INT64_MAX,
  "message.timestamp.after.max.ms": INT64_MAX,
};

/** Creates the topic and waits until all its partitions can be written to. Undefined if another process was first. */
export async function createTopic(
  context: TopicContext,
  partitions: number,
  { record_bytes_max, replicas, anyTimestamp = false }: TopicOptions,
): Promise<CreatedTopic | undefined> {
  const settings: Record<string, string> = { ...KEPT_FOR_EVER };
  if (record_bytes_max !== undefined) settings["max.message.bytes"] = String(record_bytes_max);
  if (replicas !== undefined && replicas >= 3) settings[MIN_INSYNC] = "2";
  const { topic } = context;
  const wanted = { topic, partitions, replicas: replicas ?? DEFAULT_REPLICAS, settings };
  const withTimestamps = { ...wanted, settings: { ...settings, ...ANY_TIMESTAMP } };
  let refusal = await create(context, anyTimestamp ? withTimestamps : wanted);
  // A broker that does not know the settings has nothing that they would change.
  if (anyTimestamp && refusal.errorCode === ERROR_INVALID_CONFIG) refusal = await create(context, wanted);
  if (refusal.errorCode !== 0 && refusal.errorCode !== ERROR_TOPIC_EXISTS) throw refused(topic, refusal, replicas);
  await waitForLeaders(context);
  if (refusal.errorCode === ERROR_TOPIC_EXISTS) return undefined;
  const least = leastReplicas(context.leaders);
  if (replicas === undefined && least >= 3) await requireTwoInSync(context);
  const made: Readonly<Record<string, string>> = (await describeTopic(context))?.settings ?? {};
  const shown = Object.keys({ ...withTimestamps.settings, [MIN_INSYNC]: "" }).filter((name) => made[name] !== undefined);
  return { partitions, replicas: least, settings: Object.fromEntries(shown.map((name) => [name, made[name] as string])) };
}

/** Undefined if the topic does not exist. The settings are empty if this user may not read them. */
export async function describeTopic(context: TopicContext): Promise<TopicDescription | undefined> {
  const { topic, leaders, connections } = context;
  await leaders.refresh();
  if (leaders.isGone || leaders.partitionCount === 0) return undefined;
  const { errorCode, settings } = await connections.any((node) => node.send(describeTopicExchange(topic, REQUEST_MS_MAX)));
  const mayWrite = await mayWriteTo(context);
  return {
    ...(mayWrite === undefined ? {} : { mayWrite }),
    topicId: leaders.topicId,
    partitions: leaders.partitionCount,
    replicas: leastReplicas(leaders),
    brokers: leaders.brokers,
    settings: errorCode === 0 ? settings : {},
  };
}

/** The number of the bit is the code of the operation. */
const OPERATION_WRITE = 4;
const API_METADATA = 3;

async function mayWriteTo({ topic, connections }: TopicContext): Promise<boolean | undefined> {
  const { topics } = await connections.any(async (node) =>
    node.send(metadataExchange([topic], await node.version(API_METADATA), REQUEST_MS_MAX, true)),
  );
  const operations = topics.find((one) => one.topic === topic)?.operations;
  return operations === undefined ? undefined : (operations & (1 << OPERATION_WRITE)) !== 0;
}

async function create({ connections, leaders }: TopicContext, topic: TopicToCreate): Promise<Refusal> {
  const controller = await connections.node(leaders.controllerId);
  const version = await controller.version(API_CREATE_TOPICS);
  const knowsDefaults = version >= CREATE_TOPICS_DEFAULTS_VERSION_MIN || topic.replicas !== DEFAULT_REPLICAS;
  const asked = knowsDefaults ? topic : { ...topic, replicas: Math.min(REPLICAS_MAX, leaders.brokers) };
  return controller.send(createTopicExchange(asked, version, REQUEST_MS_MAX));
}

function refused(topic: string, { errorCode, message }: Refusal, replicas: number | undefined): AppError {
  const isDenied = errorCode === ERROR_TOPIC_AUTHORIZATION_FAILED || errorCode === ERROR_CLUSTER_AUTHORIZATION_FAILED;
  const denied = `${protocolError(errorCode).type}: grant this user CREATE on the topic, or create it by hand`;
  const described = isDenied ? denied : describeError(errorCode, "CREATE");
  const why = message === null || message === "" ? described : `${described} (${message})`;
  const advice =
    errorCode === ERROR_INVALID_REPLICATION_FACTOR
      ? replicas === undefined
        ? ". Are as many brokers up as the topic is to have replicas? Else set TOPIC_REPLICATION"
        : `. TOPIC_REPLICATION is ${replicas}: are as many brokers up?`
      : "";
  return new AppError("LOG_UNAVAILABLE", `The topic ${topic} does not exist and cannot be created: ${why}${advice}.`);
}

/** A new topic has no leaders for a moment, and a busy broker does not know the topic for longer than that. */
async function waitForLeaders({ leaders, clock, topic }: TopicContext): Promise<void> {
  for (const deadline_ms = clock.now_ms() + LEADERS_WAIT_MS_MAX; ; await clock.sleep(LEADERS_WAIT_MS)) {
    await leaders.refresh();
    const { partitions } = leaders;
    if (partitions.length > 0 && partitions.every(({ leader }) => leader >= 0)) return;
    if (clock.now_ms() >= deadline_ms)
      throw unavailable(new Error(`the topic ${topic} was created, but not all its partitions have a leader yet`));
  }
}

/**
 * With this, what is acknowledged is on two of three disks. If this user may not set it, the check of the settings
 * warns of that.
 */
async function requireTwoInSync({ connections, leaders, topic }: TopicContext): Promise<void> {
  const controller = await connections.node(leaders.controllerId);
  const { versions } = await controller.broker();
  if (versions === null || !(API_INCREMENTAL_ALTER_CONFIGS in versions)) return;
  await controller.send(setTopicSettingExchange(topic, MIN_INSYNC, "2", REQUEST_MS_MAX));
}

const leastReplicas = (leaders: TopicLeaders): number =>
  leaders.partitions.reduce((least, { replicas }) => Math.min(least, replicas), Number.POSITIVE_INFINITY);
