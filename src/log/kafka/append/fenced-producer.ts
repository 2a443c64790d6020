import type { Clock } from "../../../system/clock.ts";
import { AppError } from "../../../errors.ts";
import type { NewRecord, Producer } from "../../port.ts";
import { requireTimestamps } from "../../timestamp.ts";
import type { Connections, Node } from "../connection/connections.ts";
import { findCoordinator, noCoordinator } from "../connection/coordinator.ts";
import { BatchOutput, encodeBatch } from "../records/encode-batch.ts";
import { TopicLeaders } from "../connection/leaders.ts";
import {
  adviceOn,
  causeOf,
  describeError,
  kafkaErrorType,
  type ProtocolError,
  protocolError,
  unavailable,
} from "../protocol/errors.ts";
import { type PartitionBatch, produceExchange } from "../protocol/produce.ts";
import type { ProducerId } from "./sequences.ts";

export const TRANSACTION_TIMEOUT_MS = 10_000;
export const ABORT_MS_MAX = 2_000;
/**
 * How often a coordinator that is still ending the previous transaction is asked again, and how long to wait in
 * between.
 */
const SETTLING_ATTEMPTS_MAX = 50;
const SETTLING_WAIT_MS = 100;
/** How long a batch is offered to leaders that do not take it yet. After twice that the coordinator ends the transaction. */
const OFFER_MS_MAX = TRANSACTION_TIMEOUT_MS / 2;
const SETTLING_ERRORS = [
  "CONCURRENT_TRANSACTIONS",
  "GROUP_LOAD_IN_PROGRESS",
  "GROUP_COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR_FOR_GROUP",
];
const FENCED_ERRORS = ["INVALID_PRODUCER_EPOCH", "PRODUCER_FENCED", "INVALID_PRODUCER_ID_MAPPING"];
/** Advice on errors that only an append to a topic meets. */
const ADVICE: Readonly<Record<string, string>> = { TOPIC_AUTHORIZATION_FAILED: "grant this user WRITE on the topic" };

const advise = (type: string | undefined, { reach }: Connections): string | undefined =>
  type === undefined ? undefined : (noCoordinator(type, "transaction", reach.unreachable()) ?? ADVICE[type] ?? adviceOn(type));

/** The error with which a partition's leader refused a batch. */
class Refused extends Error {
  constructor(
    readonly error: ProtocolError,
    message: string,
  ) {
    super(message);
  }
}

/**
 * A leader that does not know yet that it leads says NOT_LEADER_OR_FOLLOWER at once. If it has taken the batch all the
 * same, it knows it again by its sequence (KIP-98). Other refusals after which a batch may be in the log come late, and
 * tries of them would outlast the transaction.
 */
const mayPass = ({ error }: Refused): boolean => error.meaning === "retry" || error.type === "NOT_LEADER_OR_FOLLOWER";

/**
 * A transactional producer with one transaction per append. Opening it fences the earlier holder of the id and settles
 * what that holder left open. Its first failure breaks it: its owner then opens a new one and checks what the log
 * holds.
 *
 * ```
 *  open() ──▶ usable ──append() failed, close()──▶ broken: every append rejects
 * ```
 */
export class KafkaFencedProducer implements Producer {
  #broken: AppError | undefined;
  readonly #sequences = new Map<string, number>();
  readonly #leaders = new Map<string, TopicLeaders>();

  private constructor(
    private readonly connections: Connections,
    private readonly fencingId: string,
    private readonly id: ProducerId,
    private readonly clock: Clock,
  ) {}

  /** Rejects with LOG_UNAVAILABLE, or with APPEND_REFUSED if this user has no right to the id. */
  static async open(connections: Connections, fencingId: string, clock: Clock): Promise<KafkaFencedProducer> {
    try {
      const id = await retryWhileSettling(clock, async () => {
        const broker = await (await coordinatorOf(connections, fencingId)).broker();
        return broker.initProducerId({ transactionalId: fencingId, transactionTimeout: TRANSACTION_TIMEOUT_MS });
      });
      const { producerId, producerEpoch } = id;
      return new KafkaFencedProducer(connections, fencingId, { producerId: Number(producerId), producerEpoch }, clock);
    } catch (e) {
      connections.close();
      if (noCoordinator(kafkaErrorType(e) ?? "", "transaction", "") !== undefined) await connections.reach.tryAll();
      throw openingError(e, fencingId, connections);
    }
  }

  async append(topic: string, records: readonly NewRecord[], deadline_ms = Number.POSITIVE_INFINITY): Promise<number[]> {
    if (this.#broken) throw this.#broken;
    if (this.clock.now_ms() >= deadline_ms)
      throw new AppError("LOG_UNAVAILABLE", "The time for the append was over before anything was sent; nothing was appended.");
    requireTimestamps(records);
    const byPartition = groupByPartition(records);
    try {
      const baseOffsets = await this.#transact(topic, byPartition, deadline_ms);
      for (const [partition, { length }] of byPartition) {
        const key = `${topic} ${partition}`;
        this.#sequences.set(key, (this.#sequences.get(key) ?? 0) + length);
      }
      return offsetsOf(records, baseOffsets);
    } catch (e) {
      throw await this.#breakOn(e);
    }
  }

  async close(): Promise<void> {
    this.#broken ??= new AppError("LOG_UNAVAILABLE", "This producer is closed.");
    this.connections.close();
  }

  async #transact(
    topic: string,
    byPartition: ReadonlyMap<number, readonly NewRecord[]>,
    deadline_ms: number,
  ): Promise<Map<number, number>> {
    const transaction = { transactionalId: this.fencingId, ...this.id };
    const topics = [{ topic, partitions: [...byPartition.keys()] }];
    const coordinator = await retryWhileSettling(this.clock, async () => {
      const broker = await (await coordinatorOf(this.connections, this.fencingId)).broker();
      await broker.addPartitionsToTxn({ ...transaction, topics });
      return broker;
    });
    const output = new BatchOutput();
    const batches = [...byPartition].map(([partition, ofPartition]) => {
      const sequence = this.#sequences.get(`${topic} ${partition}`) ?? 0;
      return { partition, bytes: encodeBatch(ofPartition, { ...this.id, sequence, transactional: true }, output) };
    });
    if (this.clock.now_ms() >= deadline_ms) throw new Refused(protocolError(7), "its time was over before it was sent");
    const until_ms = Math.min(deadline_ms, this.clock.now_ms() + OFFER_MS_MAX);
    const baseOffsets = await this.#produce(topic, batches, until_ms);
    await retryWhileSettling(this.clock, () => coordinator.endTxn({ ...transaction, transactionResult: true }));
    return baseOffsets;
  }

  /**
   * Sends again what a leader does not take yet, for example because it has not heard that the partition is part of
   * the transaction, or that it leads it.
   */
  async #produce(topic: string, batches: readonly PartitionBatch[], until_ms: number): Promise<Map<number, number>> {
    const baseOffsets = new Map<number, number>();
    for (let attempt = 1; ; attempt++) {
      const left = batches.filter(({ partition }) => !baseOffsets.has(partition));
      const refused = await this.#produceOnce(topic, left, baseOffsets, attempt > 1);
      if (!refused) return baseOffsets;
      if (!mayPass(refused) || this.clock.now_ms() + SETTLING_WAIT_MS >= until_ms) throw refused;
      await this.clock.sleep(SETTLING_WAIT_MS);
    }
  }

  /**
   * Notes what the leaders confirm and returns what one of them refused. A lasting refusal comes before one that may
   * pass.
   */
  async #produceOnce(
    topic: string,
    batches: readonly PartitionBatch[],
    baseOffsets: Map<number, number>,
    isAgain: boolean,
  ): Promise<Refused | undefined> {
    const leaders = await this.#leadersOf(topic, batches, isAgain);
    const byLeader = new Map<number, PartitionBatch[]>();
    const refusals: Refused[] = [];
    for (const batch of batches) {
      const leader = leaders.leaderOf(batch.partition);
      if (leader) byLeader.set(leader.nodeId, [...(byLeader.get(leader.nodeId) ?? []), batch]);
      else refusals.push(new Refused(protocolError(5), `partition ${batch.partition} of ${topic} has no leader now`));
    }
    const sends = [...byLeader].map(async ([nodeId, ofLeader]) => {
      const node = await this.connections.node(nodeId);
      await this.#afterThrottle(node);
      const answer = await node.send(produceExchange(topic, ofLeader, this.fencingId));
      if (answer.throttle_ms > 0) node.heldBackUntil_ms = this.clock.now_ms() + answer.throttle_ms;
      for (const { partition, errorCode, baseOffset } of answer.partitions) {
        if (errorCode === 0) baseOffsets.set(partition, baseOffset);
        else refusals.push(new Refused(protocolError(errorCode), describeError(errorCode, "WRITE")));
      }
    });
    await Promise.allSettled(sends);
    await Promise.all(sends);
    return refusals.find((refused) => !mayPass(refused)) ?? refusals[0];
  }

  async #afterThrottle(node: Node): Promise<void> {
    const held_ms = node.heldBackUntil_ms - this.clock.now_ms();
    if (held_ms > 0) await this.clock.sleep(Math.min(held_ms, TRANSACTION_TIMEOUT_MS / 2));
  }

  async #leadersOf(topic: string, batches: readonly PartitionBatch[], isAgain: boolean): Promise<TopicLeaders> {
    let leaders = this.#leaders.get(topic);
    if (!leaders) this.#leaders.set(topic, (leaders = new TopicLeaders(this.connections, topic, this.clock)));
    if (isAgain || batches.some(({ partition }) => leaders.leaderOf(partition) === undefined)) await leaders.refresh();
    return leaders;
  }

  /**
   * Breaks the producer. What a leader refused is in no transaction that will be committed, so it is not in the log.
   */
  async #breakOn(e: unknown): Promise<AppError> {
    const type = kafkaErrorType(e);
    const isFenced =
      (e instanceof Refused && e.error.meaning === "fenced") || (type !== undefined && FENCED_ERRORS.includes(type));
    this.#broken = isFenced ? fenced(e) : new AppError("LOG_UNAVAILABLE", "This producer failed before; open a new one.");
    if (isFenced) return this.#broken;
    if (e instanceof Refused || type?.endsWith("AUTHORIZATION_FAILED")) {
      await this.#abort();
      return refusal(e, this.connections);
    }
    return new AppError("APPEND_OUTCOME_UNKNOWN", `The transaction was not confirmed: ${causeOf(e)}`, {}, e);
  }

  /** Without this, readers of committed records would have to wait for the transaction to time out. */
  async #abort(): Promise<void> {
    const abort = async () => {
      const coordinator = await (await coordinatorOf(this.connections, this.fencingId)).broker();
      await coordinator.endTxn({ transactionalId: this.fencingId, ...this.id, transactionResult: false });
    };
    await Promise.race([abort().catch(() => undefined), this.clock.sleep(ABORT_MS_MAX)]);
  }
}

const fenced = (e: unknown) => new AppError("PRODUCER_FENCED", "Another holder of this producer's id took over.", {}, e);

function refusal(e: unknown, connections: Connections): AppError {
  const type = kafkaErrorType(e);
  const meaning = e instanceof Refused ? e.error.meaning : "refused";
  const advice = advise(type, connections);
  const cause = advice === undefined ? causeOf(e) : `${type}: ${advice}`;
  if (meaning === "too-large")
    return new AppError("EVENT_TOO_LARGE", `The batch is larger than the topic takes (${cause}); nothing was appended.`, {}, e);
  if (meaning === "refused" || meaning === "record")
    return new AppError("APPEND_REFUSED", `The broker refused the append, and nothing was appended: ${cause}.`, {}, e);
  return new AppError(
    "LOG_UNAVAILABLE",
    `The broker cannot take the append now, and nothing was appended: ${connections.reach.withUnreachable(cause)}.`,
    {},
    e,
  );
}

function openingError(e: unknown, fencingId: string, connections: Connections): AppError {
  const type = kafkaErrorType(e);
  const advice = advise(type, connections);
  if (type === undefined || advice === undefined) return unavailable(e);
  const code = type.endsWith("AUTHORIZATION_FAILED") ? "APPEND_REFUSED" : "LOG_UNAVAILABLE";
  return new AppError(
    code,
    `The broker does not give a producer with the transactional id ${fencingId}: ${type}: ${advice}.`,
    {},
    e,
  );
}

const coordinatorOf = (connections: Connections, transactionalId: string): Promise<Node> =>
  findCoordinator(connections, transactionalId, "transaction");

async function retryWhileSettling<T>(clock: Clock, request: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await request();
    } catch (e) {
      const type = kafkaErrorType(e);
      if (type === undefined || !SETTLING_ERRORS.includes(type) || attempt >= SETTLING_ATTEMPTS_MAX) throw e;
      await clock.sleep(SETTLING_WAIT_MS);
    }
  }
}

function groupByPartition(records: readonly NewRecord[]): Map<number, NewRecord[]> {
  const byPartition = new Map<number, NewRecord[]>();
  for (const record of records) {
    const ofPartition = byPartition.get(record.partition);
    if (ofPartition) ofPartition.push(record);
    else byPartition.set(record.partition, [record]);
  }
  return byPartition;
}

function offsetsOf(records: readonly NewRecord[], baseOffsets: ReadonlyMap<number, number>): number[] {
  const next = new Map(baseOffsets);
  return records.map(({ partition }) => {
    const offset = next.get(partition) as number;
    next.set(partition, offset + 1);
    return offset;
  });
}
