import { type ITopicConfig, Kafka, type KafkaConfig, logLevel, type SASLOptions } from "kafkajs";
import type { Clock } from "../../clock.ts";
import { AppError } from "../../errors.ts";
import type { Random } from "../../random.ts";
import type { BackoffLimits } from "../backoff.ts";
import type { GroupOptions, Log, Membership, Producer, Reader, TopicLimits, Watermarks } from "../log.ts";
import { checkPrivateParts, type Cluster, ClusterHandle, kafkaErrorType, unavailable } from "./cluster.ts";
import { KafkaMembership } from "./membership.ts";
import { KafkaFencedProducer, KafkaProducer } from "./producer.ts";
import { KafkaReader } from "./reader.ts";

export interface KafkaLogOptions extends BackoffLimits {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly ssl?: KafkaConfig["ssl"];
  readonly sasl?: {
    readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
    readonly username: string;
    readonly password: string;
  };
  readonly session_timeout_ms: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Where kafkajs' own messages go; they are for debugging, ours say what matters. */
  readonly onClientMessage?: (message: string) => void;
}

const CONNECTION_WAIT_MS_MAX = 2_000;
const REQUEST_WAIT_MS_MAX = 3_000;
const REPLICAS_MAX = 3;
const LEADERS_WAIT_MS = 50;
const LEADERS_WAIT_MS_MAX = 5_000;
const TIMESTAMP_EARLIEST = -2;
const TIMESTAMP_LATEST = -1;
/** The answer where no record is as late as was asked for. */
const NO_OFFSET = -1;
const READ_UNCOMMITTED = 0;
const EXISTING_TOPIC = "TOPIC_ALREADY_EXISTS";

/** The `Log` on Kafka or Redpanda, through kafkajs' connections. Every part has its own, so that none waits behind another's long poll. */
export class KafkaLog implements Log {
  readonly kind = "kafka";
  readonly #kafka: Kafka;
  readonly #control: ClusterHandle;
  readonly #topics = new Map<string, ClusterHandle>();
  readonly #open = new Set<{ close(): Promise<void> }>();

  constructor(private readonly options: KafkaLogOptions) {
    const { onClientMessage = () => undefined } = options;
    this.#kafka = new Kafka({
      clientId: options.clientId,
      brokers: [...options.brokers],
      connectionTimeout: CONNECTION_WAIT_MS_MAX,
      requestTimeout: REQUEST_WAIT_MS_MAX,
      // One round over the brokers; waiting and trying again is for the callers, who know how long.
      retry: { retries: options.brokers.length, initialRetryTime: 50, maxRetryTime: 200 },
      logLevel: logLevel.ERROR,
      logCreator: () => (entry) => onClientMessage(entry.log.message),
      ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
      ...(options.sasl === undefined ? {} : { sasl: options.sasl as SASLOptions }),
    });
    checkPrivateParts(this.#kafka);
    this.#control = this.#connection();
  }

  id(): Promise<string> {
    return this.#control.use(async (cluster) => {
      const id = cluster.brokerPool.metadata?.clusterId;
      if (!id) throw new Error("the broker named no cluster id");
      return id;
    });
  }

  async createTopic(topic: string, partitions: number, limits: TopicLimits = {}): Promise<void> {
    if ((await this.partitionCount(topic)) > 0) return;
    const brokers = await this.#control.use(async (cluster) => cluster.brokerPool.metadata?.brokers.length ?? 1);
    const config: ITopicConfig = {
      topic,
      numPartitions: partitions,
      replicationFactor: Math.min(REPLICAS_MAX, brokers),
      configEntries: [
        { name: "cleanup.policy", value: "delete" },
        { name: "retention.ms", value: "-1" },
        { name: "retention.bytes", value: "-1" },
        ...(limits.record_bytes_max === undefined ? [] : [{ name: "max.message.bytes", value: String(limits.record_bytes_max) }]),
      ],
    };
    await this.#admin(async (admin) => {
      await admin.createTopics({ topics: [config], waitForLeaders: false }).catch((e: unknown) => {
        if (kafkaErrorType(e) !== EXISTING_TOPIC) throw e;
      });
    });
    await this.#leadersElected(topic);
  }

  /** kafkajs' own wait gives up where a broker does not know the new topic yet, as a busy one may for a while. */
  async #leadersElected(topic: string): Promise<void> {
    const { clock } = this.options;
    for (const deadline_ms = clock.now_ms() + LEADERS_WAIT_MS_MAX; ; await clock.sleep(LEADERS_WAIT_MS)) {
      const leaders = await this.#leaders(topic);
      if (leaders.length > 0 && leaders.every((leader) => leader >= 0)) return;
      if (clock.now_ms() >= deadline_ms)
        throw unavailable(new Error(`the topic ${topic} was created, but not all its partitions have a leader yet`));
    }
  }

  async addPartitions(topic: string, partitions: number): Promise<void> {
    if ((await this.partitionCount(topic)) >= partitions) return;
    await this.#admin((admin) => admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] }));
  }

  async partitionCount(topic: string): Promise<number> {
    return (await this.#leaders(topic)).length;
  }

  /** Of each partition, −1 where it has none now; empty if the topic does not exist. */
  async #leaders(topic: string): Promise<number[]> {
    try {
      return await this.#onTopic(topic, async (cluster) => {
        await cluster.refreshMetadata();
        return cluster.findTopicPartitionMetadata(topic).map(({ leader }) => leader);
      });
    } catch (e) {
      if (kafkaErrorType(e) === "UNKNOWN_TOPIC_OR_PARTITION") return [];
      throw e;
    }
  }

  watermarks(topic: string): Promise<Watermarks[]> {
    return this.#onTopic(topic, async (cluster) => {
      await cluster.refreshMetadata();
      const [starts, ends] = await Promise.all([
        listOffsets(cluster, topic, TIMESTAMP_EARLIEST),
        listOffsets(cluster, topic, TIMESTAMP_LATEST),
      ]);
      return ends.map((endOffset, partition) => ({ startOffset: starts[partition] ?? 0, endOffset }));
    });
  }

  offsetsAt(topic: string, timestamp_ms: number): Promise<number[]> {
    return this.#onTopic(topic, async (cluster) => {
      await cluster.refreshMetadata();
      const found = await listOffsets(cluster, topic, Math.max(0, timestamp_ms));
      const ends = await listOffsets(cluster, topic, TIMESTAMP_LATEST);
      return ends.map((end, partition) => {
        const offset = found[partition] ?? NO_OFFSET;
        return offset === NO_OFFSET ? end : offset;
      });
    });
  }

  producer(): Producer {
    const { clock, random } = this.options;
    return this.#track(new KafkaProducer(this.#connection(), clock, random, this.options));
  }

  async fencedProducer(fencingId: string): Promise<Producer> {
    return this.#track(await KafkaFencedProducer.open(this.#connection(), fencingId, this.options.clock));
  }

  reader(topic: string): Reader {
    return this.#track(new KafkaReader(this.#connection(topic), topic, () => this.watermarks(topic), this.options.clock));
  }

  joinGroup(options: GroupOptions): Membership {
    const { clock, random } = this.options;
    const count = () => this.partitionCount(options.topic);
    const membership = new KafkaMembership(this.#connection(options.topic), options, this.options, clock, random, count);
    this.#track({ close: () => membership.leave() });
    return membership;
  }

  async deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void> {
    const { startOffset = 0 } = (await this.watermarks(topic))[partition] ?? {};
    if (beforeOffset <= startOffset) return;
    await this.#onTopic(topic, async (cluster) => {
      const leader = cluster.findTopicPartitionMetadata(topic).find((p) => p.partitionId === partition)?.leader;
      const broker = await cluster.findBroker({ nodeId: String(leader) });
      await broker.deleteRecords({ topics: [{ topic, partitions: [{ partition, offset: String(beforeOffset) }] }] });
    });
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#open].map((part) => part.close()));
    this.#control.close();
    for (const connection of this.#topics.values()) connection.close();
  }

  #connection(...topics: string[]): ClusterHandle {
    return new ClusterHandle(this.#kafka, topics);
  }

  /** Closed with the log, unless it is closed before; then it is forgotten. */
  #track<T extends { close(): Promise<void> }>(part: T): T {
    const close = part.close.bind(part);
    part.close = () => {
      this.#open.delete(part);
      return close();
    };
    this.#open.add(part);
    return part;
  }

  #onTopic<T>(topic: string, work: (cluster: Cluster) => Promise<T>): Promise<T> {
    let connection = this.#topics.get(topic);
    if (!connection) {
      connection = this.#connection(topic);
      this.#topics.set(topic, connection);
    }
    return connection.use(work);
  }

  async #admin<T>(work: (admin: ReturnType<Kafka["admin"]>) => Promise<T>): Promise<T> {
    const admin = this.#kafka.admin();
    try {
      await admin.connect();
      return await work(admin);
    } catch (e) {
      throw e instanceof AppError ? e : unavailable(e);
    } finally {
      void admin.disconnect().catch(() => undefined);
    }
  }
}

/** One offset per partition, by partition number; READ_UNCOMMITTED, so that the end is the high watermark and no open transaction hides records. */
async function listOffsets(cluster: Cluster, topic: string, timestamp: number): Promise<number[]> {
  const byLeader = new Map<number, { partition: number; timestamp: number }[]>();
  for (const { partitionId, leader } of cluster.findTopicPartitionMetadata(topic)) {
    byLeader.set(leader, [...(byLeader.get(leader) ?? []), { partition: partitionId, timestamp }]);
  }
  const offsets: number[] = [];
  const requests = [...byLeader].map(async ([leader, partitions]) => {
    const broker = await cluster.findBroker({ nodeId: String(leader) });
    const { responses } = await broker.listOffsets({ isolationLevel: READ_UNCOMMITTED, topics: [{ topic, partitions }] });
    for (const { partition, offset } of responses.flatMap((r) => r.partitions)) offsets[partition] = Number(offset);
  });
  await Promise.all(requests);
  return offsets;
}
