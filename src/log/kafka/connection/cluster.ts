import { createRequire } from "node:module";
import { type Kafka } from "kafkajs";
import type { AnswerBuffers } from "./answer-buffers.ts";
import { type Receiving, receiveInto } from "./answer-receiver.ts";

/**
 * The one seam to what kafkajs keeps private: its brokers, which are connections that log in and speak the protocol.
 * kafkajs is pinned to 2.2.4 and no longer changes. docs/decisions/0001-below-the-kafkajs-consumer.md says why we go
 * below its consumer and its cluster.
 */
export interface Broker {
  readonly connectionPool: ConnectionPool;
  /** The versions that the broker speaks, by API key; null until it is connected. */
  readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  deleteRecords(options: { topics: { topic: string; partitions: { partition: number; offset: string }[] }[] }): Promise<unknown>;
  createPartitions(options: { topicPartitions: { topic: string; count: number }[] }): Promise<unknown>;
  findGroupCoordinator(options: { groupId: string; coordinatorType: number }): Promise<{
    readonly coordinator: { readonly nodeId: number; readonly host: string; readonly port: number };
  }>;
  initProducerId(options: {
    transactionalId?: string;
    transactionTimeout: number;
  }): Promise<{ producerId: string; producerEpoch: number }>;
  addPartitionsToTxn(options: Transaction & { topics: { topic: string; partitions: number[] }[] }): Promise<unknown>;
  endTxn(options: Transaction & { transactionResult: boolean }): Promise<unknown>;
  offsetCommit(options: {
    groupId: string;
    groupGenerationId: number;
    memberId: string;
    topics: { topic: string; partitions: { partition: number; offset: string; metadata: string | null }[] }[];
  }): Promise<unknown>;
  offsetFetch(options: { groupId: string; topics: { topic: string; partitions: { partition: number }[] }[] }): Promise<{
    readonly responses: readonly {
      readonly topic: string;
      readonly partitions: readonly { partition: number; offset: string; metadata: string | null }[];
    }[];
  }>;
}

/** Two connections to one broker. Fetches have one to themselves, so that nothing waits behind a long poll. */
export interface ConnectionPool {
  readonly host: string;
  readonly port: number;
  readonly pool: readonly Connection[];
  getConnection(index: number): Promise<Connection>;
}

export interface Connection extends Receiving {
  isConnected(): boolean;
  /** Fails every request that waits for an answer. */
  rejectRequests(error: Error): void;
  disconnect(): Promise<unknown>;
  send<T>(exchange: Exchange<T>): Promise<T>;
  /** The size of the answer that is coming in. Only instances have this member and the next; the prototype has not. */
  readonly bytesNeeded?: number;
  readonly socket?: { destroy(): void } | null;
}

interface Transaction {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
}

/**
 * One request and how its answer is read, in the form that kafkajs' connections take; our patch lets a request come in
 * chunks.
 */
export interface Exchange<T> {
  readonly request: {
    apiKey: number;
    apiVersion: number;
    apiName: string;
    encode(): Promise<{ readonly chunks: readonly Buffer[] }>;
  };
  readonly response: { decode(payload: Buffer): Promise<T>; parse(decoded: T): Promise<T> };
  readonly requestTimeout: number;
}

const requireOf = createRequire(import.meta.url);

interface BrokerPool {
  readonly rootLogger: unknown;
  readonly connectionPoolBuilder: { build(address: { host: string; port: number }): Promise<ConnectionPool> };
  createBroker(options: { logger: unknown; connectionPool: ConnectionPool; nodeId: number | null }): Broker;
}

type CreateCluster = (options: { allowAutoTopicCreation: boolean }) => { readonly brokerPool: BrokerPool };

const POOL_PARTS = { connectionPoolBuilder: "object", createBroker: "function", rootLogger: "object" };

/** The parts of a broker's prototype. It lacks what a broker has only once it is made. */
const BROKER_PARTS = {
  connect: "function",
  disconnect: "function",
  deleteRecords: "function",
  createPartitions: "function",
  findGroupCoordinator: "function",
  initProducerId: "function",
  addPartitionsToTxn: "function",
  endTxn: "function",
  offsetCommit: "function",
  offsetFetch: "function",
} satisfies Record<Exclude<keyof Broker, "connectionPool" | "versions">, string>;

const CONNECTION_POOL_PARTS = { getConnection: "function" };
const CONNECTION_PARTS = {
  isConnected: "function",
  send: "function",
  processData: "function",
  rejectRequests: "function",
  disconnect: "function",
} satisfies Record<Exclude<keyof Connection, "bytesNeeded" | "bytesBuffered" | "chunks" | "authHandlers" | "socket">, string>;

/**
 * Throws a plain Error, a defect and not an outage, unless kafkajs has the private parts used here. It must be called
 * before anything connects: a part found missing later would look like an unreachable broker, which is tried again
 * forever.
 */
export function checkPrivateParts(kafka: Kafka): void {
  const prototype = (module: string) => (requireOf(module) as { prototype: unknown }).prototype;
  assertParts("broker pool", brokerPool(kafka), POOL_PARTS);
  assertParts("broker", prototype("kafkajs/src/broker"), BROKER_PARTS);
  assertParts("connection pool", prototype("kafkajs/src/network/connectionPool"), CONNECTION_POOL_PARTS);
  assertParts("connection", prototype("kafkajs/src/network/connection"), CONNECTION_PARTS);
}

function assertParts(what: string, owner: unknown, parts: Readonly<Record<string, string>>): void {
  for (const [part, type] of Object.entries(parts)) {
    if (typeof (owner as Record<string, unknown>)[part] !== type) throw notPinned(`its ${what} has no ${part}`);
  }
}

function brokerPool(kafka: Kafka): BrokerPool {
  const symbol = Object.getOwnPropertySymbols(kafka).find((s) => s.description === "private:Kafka:createCluster");
  if (!symbol) throw notPinned("its client has no createCluster");
  const create = (kafka as unknown as Record<symbol, CreateCluster>)[symbol] as CreateCluster;
  return create.call(kafka, { allowAutoTopicCreation: false }).brokerPool;
}

const notPinned = (why: string) =>
  new Error(`kafkajs is not the version whose private parts log/kafka/connection/cluster.ts knows: ${why}.`);

/** Makes brokers that are not connected yet, with kafkajs' settings for TLS and login. */
export type MakeBroker = (
  address: { readonly host: string; readonly port: number },
  nodeId: number | null,
  answers?: AnswerBuffers,
) => Promise<Broker>;

/** The connections of a broker's pool: one for fetches alone, and one for the rest. */
export const CONTROL = 0;
export const FETCHES = 1;

export function brokerMaker(kafka: Kafka): MakeBroker {
  const pool = brokerPool(kafka);
  return async ({ host, port }, nodeId, answers) => {
    const connectionPool = await pool.connectionPoolBuilder.build({ host, port });
    connectionPool.pool.forEach(endAtNonsense);
    const fetches = connectionPool.pool[FETCHES];
    if (fetches && answers) receiveInto(fetches, answers, ANSWER_BYTES_MAX);
    return pool.createBroker({ logger: pool.rootLogger, connectionPool, nodeId });
  };
}

/**
 * More than a broker takes in one request by default (socket.request.max.bytes, 100 MiB), so more than its largest
 * batch.
 */
const ANSWER_BYTES_MAX = 128 * 1024 * 1024;

/**
 * Guards against a peer that does not speak Kafka's protocol. When a frame makes no sense, kafkajs throws in the
 * socket's event handler, which would end the process. It also buffers up to 2 GiB until a frame is complete, and in
 * most other protocols the first bytes look like such a length.
 */
function endAtNonsense(connection: Connection): void {
  const processData = connection.processData.bind(connection);
  const send: Connection["send"] = connection.send.bind(connection);
  let nonsense: Error | undefined;
  const end = (cause: unknown) => {
    nonsense = new Error("what it sends is not Kafka's protocol", { cause });
    connection.rejectRequests(nonsense);
    void connection.disconnect().catch(() => undefined);
    // kafkajs closes only its own side.
    connection.socket?.destroy();
  };
  connection.processData = (data) => {
    if (nonsense) return;
    try {
      processData(data);
      if ((connection.bytesNeeded ?? 0) > ANSWER_BYTES_MAX) end(`it announces ${connection.bytesNeeded} bytes`);
    } catch (e) {
      end(e);
    }
  };
  connection.send = (exchange) => (nonsense ? Promise.reject(nonsense) : send(exchange));
}

/**
 * A request of the group protocol as kafkajs encodes it, in a version of our choice and with the instance id that its
 * own methods leave out. A JoinGroup is not sent again under the member id that the first one gave (KIP-394).
 */
export function groupExchange<T>(
  request: "joinGroup" | "syncGroup" | "heartbeat" | "leaveGroup",
  version: number,
  options: object,
): Exchange<T> {
  const { protocol } = requireOf(`kafkajs/src/protocol/requests/${request}`) as {
    protocol: (of: { version: number }) => (options: object) => Exchange<T>;
  };
  return protocol({ version })(options);
}
