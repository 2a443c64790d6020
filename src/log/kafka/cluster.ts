import { createRequire } from "node:module";
import { type Kafka } from "kafkajs";
import { AppError } from "../../errors.ts";

/**
 * The one seam to what kafkajs keeps private: its cluster, which knows brokers, leaders and connections, and its brokers,
 * which speak the protocol. kafkajs 2.2.4 is pinned and no longer changes. Why we go below its consumer: src/decisions/0001-below-the-kafkajs-consumer.md.
 */
export interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly PartitionMetadata[];
  getNodeIds(): string[];
  findBroker(options: { nodeId: string }): Promise<Broker>;
  findGroupCoordinator(options: { groupId: string; coordinatorType?: number }): Promise<Broker>;
  readonly brokerPool: { readonly metadata: { readonly clusterId: string; readonly brokers: readonly unknown[] } | null };
}

interface PartitionMetadata {
  readonly partitionId: number;
  /** −1 while there is none. */
  readonly leader: number;
}

export interface Broker {
  readonly connectionPool: { send<T>(exchange: Exchange<T>): Promise<T> };
  listOffsets(options: {
    isolationLevel: number;
    topics: { topic: string; partitions: { partition: number; timestamp: number }[] }[];
  }): Promise<{ responses: { partitions: { partition: number; offset: string }[] }[] }>;
  deleteRecords(options: { topics: { topic: string; partitions: { partition: number; offset: string }[] }[] }): Promise<unknown>;
  initProducerId(options: {
    transactionalId?: string;
    transactionTimeout: number;
  }): Promise<{ producerId: string; producerEpoch: number }>;
  addPartitionsToTxn(options: Transaction & { topics: { topic: string; partitions: number[] }[] }): Promise<unknown>;
  endTxn(options: Transaction & { transactionResult: boolean }): Promise<unknown>;
  joinGroup(options: JoinGroup): Promise<JoinedGroup>;
  syncGroup(options: {
    groupId: string;
    generationId: number;
    memberId: string;
    groupAssignment: { memberId: string; memberAssignment: Buffer }[];
  }): Promise<{ memberAssignment: Buffer }>;
  heartbeat(options: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>;
  leaveGroup(options: { groupId: string; memberId: string }): Promise<unknown>;
  offsetCommit(options: {
    groupId: string;
    groupGenerationId: number;
    memberId: string;
    topics: { topic: string; partitions: { partition: number; offset: string }[] }[];
  }): Promise<unknown>;
}

interface Transaction {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
}

interface JoinGroup {
  groupId: string;
  sessionTimeout: number;
  rebalanceTimeout: number;
  memberId: string;
  groupProtocols: { name: string; metadata: Buffer }[];
}

export interface JoinedGroup {
  readonly generationId: number;
  readonly leaderId: string;
  readonly memberId: string;
  readonly members: readonly { memberId: string; memberMetadata: Buffer }[];
}

/** One request and how its answer is read, in the form kafkajs' connections take; with our patch also in chunks. */
export interface Exchange<T> {
  readonly request: {
    apiKey: number;
    apiVersion: number;
    apiName: string;
    encode(): Promise<RequestEncoder | { readonly chunks: readonly Buffer[] }>;
  };
  readonly response: { decode(payload: Buffer): Promise<T>; parse(decoded: T): Promise<T> };
  readonly requestTimeout: number;
}

/** kafkajs' growing write buffer. */
export interface RequestEncoder {
  readonly buffer: Buffer;
  writeInt8(n: number): this;
  writeInt16(n: number): this;
  writeInt32(n: number): this;
  writeUInt32(n: number): this;
  writeString(s: string | null): this;
}

const requireOf = createRequire(import.meta.url);

export const Encoder = requireOf("kafkajs/src/protocol/encoder") as new (initialBytes?: number) => RequestEncoder;

type CreateCluster = (options: { metadataMaxAge: number; allowAutoTopicCreation: boolean }) => Cluster;

const METADATA_AGE_MS_MAX = 30_000;

const CLUSTER_PARTS = {
  connect: "function",
  disconnect: "function",
  refreshMetadata: "function",
  addTargetTopic: "function",
  findTopicPartitionMetadata: "function",
  getNodeIds: "function",
  findBroker: "function",
  findGroupCoordinator: "function",
  brokerPool: "object",
} satisfies Record<keyof Cluster, string>;

/** Without `connectionPool`, which a broker has only once it is made. */
const BROKER_PARTS = {
  listOffsets: "function",
  deleteRecords: "function",
  initProducerId: "function",
  addPartitionsToTxn: "function",
  endTxn: "function",
  joinGroup: "function",
  syncGroup: "function",
  heartbeat: "function",
  leaveGroup: "function",
  offsetCommit: "function",
} satisfies Record<Exclude<keyof Broker, "connectionPool">, string>;

/**
 * Throws a plain Error, a defect and no outage, unless kafkajs has the private parts used here. Asked before anything connects: met
 * later, a missing part would look like a broker that cannot be reached, and be tried forever.
 */
export function checkPrivateParts(kafka: Kafka): void {
  assertParts("cluster", createCluster(kafka), CLUSTER_PARTS);
  assertParts("broker", (requireOf("kafkajs/src/broker") as { prototype: unknown }).prototype, BROKER_PARTS);
}

function assertParts(what: string, owner: unknown, parts: Readonly<Record<string, string>>): void {
  for (const [part, type] of Object.entries(parts)) {
    if (typeof (owner as Record<string, unknown>)[part] !== type) throw notPinned(`its ${what} has no ${part}`);
  }
}

function createCluster(kafka: Kafka): Cluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find((s) => s.description === "private:Kafka:createCluster");
  if (!symbol) throw notPinned("its client has no createCluster");
  const create = (kafka as unknown as Record<symbol, CreateCluster>)[symbol] as CreateCluster;
  return create({ metadataMaxAge: METADATA_AGE_MS_MAX, allowAutoTopicCreation: false });
}

const notPinned = (why: string) =>
  new Error(`kafkajs is not the version whose private parts log/kafka/cluster.ts knows: ${why}.`);

/**
 * A cluster connection that is thrown away whole on any failure and made anew at the next use, so that no half-broken state of
 * the client outlives an outage.
 *
 * ```
 *  (none) ──use()──▶ connected ──failure or discard()──▶ (none) … ──close()──▶ closed
 * ```
 */
export class ClusterHandle {
  #connecting: Promise<Cluster> | undefined;
  #closed = false;

  constructor(
    private readonly kafka: Kafka,
    private readonly topics: readonly string[],
  ) {}

  /** Runs `work` on a connected cluster. Every failure becomes `LOG_UNAVAILABLE`, except AppErrors, which pass. */
  async use<T>(work: (cluster: Cluster) => Promise<T>): Promise<T> {
    const connecting = (this.#connecting ??= this.#connect());
    try {
      return await work(await connecting);
    } catch (e) {
      if (e instanceof AppError) throw e;
      if (this.#connecting === connecting) this.discard();
      throw unavailable(e);
    }
  }

  discard(): void {
    const connecting = this.#connecting;
    this.#connecting = undefined;
    connecting?.then((cluster) => cluster.disconnect()).catch(() => undefined);
  }

  close(): void {
    this.#closed = true;
    this.discard();
  }

  async #connect(): Promise<Cluster> {
    if (this.#closed) throw new AppError("LOG_UNAVAILABLE", "The connection to the log is closed.");
    const cluster = createCluster(this.kafka);
    await cluster.connect();
    if (this.topics.length === 0) await cluster.refreshMetadata();
    for (const topic of this.topics) await cluster.addTargetTopic(topic);
    return cluster;
  }
}

/** Newer than kafkajs' table of errors. */
const CODE_PRODUCER_FENCED = 90;

/** The type of a Kafka protocol error as kafkajs names it (`REBALANCE_IN_PROGRESS`, …), also where it wraps it. */
export function kafkaErrorType(e: unknown): string | undefined {
  const { type, cause } = (e ?? {}) as { type?: unknown; cause?: unknown };
  if ((e as { code?: unknown } | undefined)?.code === CODE_PRODUCER_FENCED) return "PRODUCER_FENCED";
  if (typeof type === "string") return type;
  return cause === undefined ? undefined : kafkaErrorType(cause);
}

export const unavailable = (e: unknown): AppError =>
  new AppError("LOG_UNAVAILABLE", `The broker cannot be reached or refused: ${messageOf(e)}`, {}, e);

/** kafkajs' errors about several topics say in their message only that there are some; what they are stands in `errors`. */
function messageOf(e: unknown): string {
  if (!(e instanceof Error)) return String(e);
  const { errors } = e as { errors?: unknown };
  return Array.isArray(errors) ? `${e.message}: ${errors.map(messageOf).join("; ")}` : e.message;
}
