import { Kafka, type KafkaConfig, logLevel, type SASLOptions } from "kafkajs";
import type { Clock } from "../../system/clock.ts";
import { AppError } from "../../errors.ts";
import type { Random } from "../../system/random.ts";
import type { BackoffLimits } from "../backoff.ts";
import type { GroupOptions, Membership } from "../membership.ts";
import type {
  CreatedTopic,
  EndOffsets,
  IdempotentProducer,
  Isolation,
  Log,
  Producer,
  Reader,
  TopicDescription,
  TopicEnds,
  TopicOptions,
  Watermarks,
} from "../port.ts";
import { type Address, BrokerReach } from "./connection/broker-reach.ts";
import { brokerMaker, checkPrivateParts } from "./connection/cluster.ts";
import { Connections } from "./connection/connections.ts";
import { KafkaFencedProducer } from "./append/fenced-producer.ts";
import { TopicLeaders } from "./connection/leaders.ts";
import { KafkaMembership } from "./group/membership.ts";
import { byLeader, endOffsets, listOffsets, topicEnds } from "./read/partition-ends.ts";
import { KafkaProducer } from "./append/producer.ts";
import { describeError, kafkaErrorType, unavailable } from "./protocol/errors.ts";
import { KafkaReader } from "./read/reader.ts";
import { createTopic, describeTopic, type TopicContext } from "./topic-settings.ts";

export interface KafkaLogOptions extends BackoffLimits {
  /** Each is `host:port`; an IPv6 address stands in brackets (RFC 3986, 3.2.2). */
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
  /** Receives kafkajs' own messages. They are for debugging; our own say what matters. */
  readonly onClientMessage?: (message: string) => void;
}

const CONNECTION_WAIT_MS_MAX = 2_000;
const REQUEST_WAIT_MS_MAX = 3_000;
/** The broker's answer if no record is as late as was asked for. */
const NO_OFFSET = -1;

/** One topic's leaders, on connections that all callers who ask about the topic share. */
interface TopicSession {
  readonly connections: Connections;
  readonly leaders: TopicLeaders;
}

/**
 * The `Log` on Kafka or Redpanda, through kafkajs' connections. Each part has its own, so that none waits behind
 * another's long poll.
 */
export class KafkaLog implements Log {
  readonly #connect: () => Connections;
  readonly #reach: BrokerReach;
  readonly #topics = new Map<string, TopicSession>();
  readonly #producers = new Set<KafkaProducer>();
  readonly #open = new Set<{ close(): Promise<void> }>();
  #isClosed = false;
  #turn: Map<TopicLeaders, Promise<void>> | undefined;

  constructor(private readonly options: KafkaLogOptions) {
    const { onClientMessage = () => undefined, clock } = options;
    const kafka = new Kafka({
      clientId: options.clientId,
      brokers: [...options.brokers],
      connectionTimeout: CONNECTION_WAIT_MS_MAX,
      requestTimeout: REQUEST_WAIT_MS_MAX,
      logLevel: logLevel.ERROR,
      logCreator: () => (entry) => onClientMessage(entry.log.message),
      ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
      ...(options.sasl === undefined ? {} : { sasl: options.sasl as SASLOptions }),
    });
    checkPrivateParts(kafka);
    const seeds = options.brokers.map(addressOf);
    const makeBroker = brokerMaker(kafka);
    this.#reach = new BrokerReach(seeds, makeBroker, clock);
    this.#connect = () => new Connections({ seeds, makeBroker, clock, reach: this.#reach });
  }

  async id(): Promise<string> {
    const connections = this.#connect();
    try {
      const { clusterId } = await connections.metadata([]);
      if (clusterId === null) throw unavailable(new Error("the broker named no cluster id"));
      return clusterId;
    } finally {
      connections.close();
    }
  }

  async createTopic(topic: string, partitions: number, options: TopicOptions = {}): Promise<CreatedTopic | undefined> {
    if ((await this.partitionCount(topic)) > 0) return undefined;
    return this.#onTopic(topic, () => createTopic(this.#context(topic), partitions, options));
  }

  async describe(topic: string): Promise<TopicDescription | undefined> {
    const description = await this.#onTopic(topic, () => describeTopic(this.#context(topic)));
    const bytes_max = Number(description?.settings["max.message.bytes"]);
    if (bytes_max > 0) for (const producer of this.#producers) producer.noteBatchBytesMax(topic, bytes_max);
    return description;
  }

  async addPartitions(topic: string, partitions: number): Promise<void> {
    if ((await this.partitionCount(topic)) >= partitions) return;
    await this.#onTopic(topic, async ({ connections, leaders }) => {
      const broker = await (await connections.node(leaders.controllerId)).broker();
      try {
        await broker.createPartitions({ topicPartitions: [{ topic, count: partitions }] });
      } catch (e) {
        // The broker that told the number lags behind: the topic has as many by now, or more.
        if (kafkaErrorType(e) !== "INVALID_PARTITIONS") throw e;
      }
    });
  }

  partitionCount(topic: string): Promise<number> {
    return this.#onTopic(topic, async ({ leaders }) => {
      await leaders.refresh();
      return leaders.partitionCount;
    });
  }

  async watermarks(topic: string): Promise<Watermarks[]> {
    const { partitions } = await this.ends(topic);
    return partitions.map((ends) => {
      if ("unavailable" in ends) throw new AppError("LOG_UNAVAILABLE", ends.unavailable);
      return { startOffset: ends.startOffset, endOffset: ends.endOffset };
    });
  }

  ends(topic: string): Promise<TopicEnds> {
    return this.#onTopic(topic, async ({ connections, leaders }) => {
      await leaders.refresh();
      return topicEnds({ connections, leaders, topic });
    });
  }

  endOffsets(topic: string, wanted: ReadonlySet<number> | undefined, isolation: Isolation): Promise<EndOffsets> {
    const turn = this.#thisTurn();
    return this.#onTopic(topic, ({ connections, leaders }) => {
      const refreshAnew = (): Promise<void> => {
        const refreshing = turn.get(leaders) ?? leaders.refreshAnew();
        turn.set(leaders, refreshing);
        return refreshing;
      };
      return endOffsets({ connections, leaders, topic }, wanted, isolation, refreshAnew);
    });
  }

  async offsetsAt(topic: string, timestamp_ms: number): Promise<number[]> {
    const ends = await this.watermarks(topic);
    const found = await this.#onTopic(topic, async ({ connections, leaders }) => {
      const { led } = byLeader(leaders);
      const asks = [...led].map(async ([nodeId, wanted]) => {
        const node = await connections.node(nodeId);
        return [...(await listOffsets(node, topic, wanted, Math.max(0, timestamp_ms), "uncommitted")).values()];
      });
      return (await Promise.all(asks)).flat();
    });
    const refused = found.find(({ errorCode }) => errorCode !== 0);
    if (refused)
      throw new AppError(
        "LOG_UNAVAILABLE",
        `The broker does not tell the offsets of ${topic}: ${describeError(refused.errorCode, "DESCRIBE")}.`,
      );
    const offsets = new Map(found.map(({ partition, offset }) => [partition, offset]));
    return ends.map(({ endOffset }, partition) => {
      const offset = offsets.get(partition) ?? NO_OFFSET;
      return offset === NO_OFFSET ? endOffset : offset;
    });
  }

  producer(): IdempotentProducer {
    const { clock, random } = this.options;
    const producer = this.#track(new KafkaProducer(this.#connect, clock, random, this.options));
    this.#producers.add(producer);
    return producer;
  }

  async fencedProducer(fencingId: string): Promise<Producer> {
    this.#checkOpen();
    return this.#track(await KafkaFencedProducer.open(this.#connect(), fencingId, this.options.clock));
  }

  reader(topic: string, isolation: Isolation = "committed"): Reader {
    const { clock, random } = this.options;
    return this.#track(new KafkaReader(this.#connect, topic, clock, random, isolation));
  }

  joinGroup(options: GroupOptions): Membership {
    const { clock, random } = this.options;
    const count = (topic: string) => this.partitionCount(topic);
    const membership = new KafkaMembership(this.#connect, options, this.options, clock, random, count);
    this.#track({ close: () => membership.leave() });
    membership.start();
    return membership;
  }

  async deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void> {
    const { startOffset = 0 } = (await this.watermarks(topic))[partition] ?? {};
    if (beforeOffset <= startOffset) return;
    await this.#onTopic(topic, async ({ connections, leaders }) => {
      const leader = leaders.leaderOf(partition);
      if (!leader) throw new Error(this.#reach.withUnreachable(`partition ${partition} of ${topic} has no leader now`));
      const broker = await (await connections.node(leader.nodeId)).broker();
      await broker.deleteRecords({ topics: [{ topic, partitions: [{ partition, offset: String(beforeOffset) }] }] });
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#reach.close();
    await Promise.allSettled([...this.#open].map((part) => part.close()));
    for (const { connections } of this.#topics.values()) connections.close();
    this.#topics.clear();
  }

  /** Has the log close the part with itself, and forgets a part that is closed earlier. */
  #track<T extends { close(): Promise<void> }>(part: T): T {
    const close = part.close.bind(part);
    part.close = () => {
      this.#open.delete(part);
      if (part instanceof KafkaProducer) this.#producers.delete(part);
      return close();
    };
    this.#open.add(part);
    return part;
  }

  #context(topic: string): TopicContext {
    return { topic, ...this.#session(topic), clock: this.options.clock };
  }

  #session(topic: string): TopicSession {
    let session = this.#topics.get(topic);
    if (!session) {
      const connections = this.#connect();
      session = { connections, leaders: new TopicLeaders(connections, topic, this.options.clock) };
      this.#topics.set(topic, session);
    }
    return session;
  }

  /** What calls of `endOffsets` share that come without anything in between. */
  #thisTurn(): Map<TopicLeaders, Promise<void>> {
    if (this.#turn === undefined) queueMicrotask(() => (this.#turn = undefined));
    return (this.#turn ??= new Map());
  }

  /**
   * Runs `work` on the topic's session. After a failure, unless it is an AppError other than LOG_UNAVAILABLE, the next
   * call begins with a new session.
   */
  async #onTopic<T>(topic: string, work: (session: TopicSession) => Promise<T>): Promise<T> {
    this.#checkOpen();
    const session = this.#session(topic);
    try {
      return await work(session);
    } catch (e) {
      if (e instanceof AppError && e.code !== "LOG_UNAVAILABLE") throw e;
      if (this.#topics.get(topic) === session) this.#topics.delete(topic);
      session.connections.close();
      throw unavailable(e);
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new AppError("LOG_UNAVAILABLE", "The log was closed by this process.");
  }
}

/** Parses `host:port`; an IPv6 address loses its brackets. */
function addressOf(broker: string): Address {
  const colon = broker.lastIndexOf(":");
  return { host: broker.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(broker.slice(colon + 1)) };
}
