import type { Clock } from "../../clock.ts";
import { AppError } from "../../errors.ts";
import type { Random } from "../../random.ts";
import { Backoff, type BackoffLimits } from "../backoff.ts";
import type { NewRecord, Producer } from "../log.ts";
import { type Broker, type Cluster, type ClusterHandle, kafkaErrorType } from "./cluster.ts";
import { BatchOutput, encodeBatch } from "./encode-batch.ts";
import { PRODUCE_ERRORS, type PartitionBatch, type ProduceAnswer, sendToLeaders } from "./produce.ts";

interface ProducerId {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/**
 * The idempotent producer (KIP-98) on kafkajs' connections. kafkajs' own rolls a sequence number back when a send gives up, and then
 * loses acknowledged records. This one sends a batch again with the same sequence numbers until the broker says yes, or that it can
 * never be, or the append's time is over; after the last two it takes a new producer id, and the outcome is unknown.
 *
 * ```
 *  idle ──append()──▶ sending ──all partitions confirmed──▶ idle
 *                      │   ▲
 *                      ├───┼── nothing sent yet and no broker: LOG_UNAVAILABLE ──▶ idle
 *                      │   └── connection lost, leader moved: back off, send the same bytes again
 *                      └────── refused for good, deadline, or close(): outcome unknown, new producer id ──▶ idle
 * ```
 */
export class KafkaProducer implements Producer {
  #id: ProducerId | undefined;
  readonly #sequences = new Map<string, number>();
  readonly #output = new BatchOutput();
  #appending = false;
  readonly #closing = new AbortController();

  constructor(
    private readonly cluster: ClusterHandle,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly backoff: BackoffLimits,
  ) {}

  async append(topic: string, records: readonly NewRecord[], deadline_ms = Number.POSITIVE_INFINITY): Promise<number[]> {
    if (this.#appending) throw new Error("an append is outstanding; one at a time");
    this.#appending = true;
    try {
      return await this.#append(topic, groupByPartition(records), records, deadline_ms);
    } finally {
      this.#appending = false;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.cluster.close();
  }

  async #append(
    topic: string,
    byPartition: ReadonlyMap<number, NewRecord[]>,
    records: readonly NewRecord[],
    deadline_ms: number,
  ): Promise<number[]> {
    const backoff = new Backoff(this.backoff, this.random);
    const baseOffsets = new Map<number, number>();
    let pending: PartitionBatch[] | undefined;
    let sent = false;
    const onSending = () => {
      if (this.clock.now_ms() >= deadline_ms)
        throw new AppError("LOG_UNAVAILABLE", "The broker could not be reached in time; nothing was appended. Try again.");
      sent = true;
    };
    for (;;) {
      try {
        await this.cluster.use(async (cluster) => {
          this.#id ??= await onceSettled(this.clock, () => idempotentProducerId(cluster));
          pending ??= this.#encode(topic, byPartition, this.#id);
          const unconfirmed = pending.filter((batch) => !baseOffsets.has(batch.partition));
          const answers = await sendToLeaders(cluster, topic, unconfirmed, undefined, onSending);
          const unsettled = settle(answers, baseOffsets);
          if (unsettled) throw new Error(`the broker answered ${unsettled}`);
        });
        for (const [partition, ofPartition] of byPartition) this.#advance(topic, partition, ofPartition.length);
        return offsetsOf(records, baseOffsets);
      } catch (e) {
        if (!sent) throw e;
        const refused = e instanceof AppError && e.code !== "LOG_UNAVAILABLE";
        if (refused || this.#closing.signal.aborted || this.clock.now_ms() >= deadline_ms) {
          this.#id = undefined;
          this.#sequences.clear();
          throw refused
            ? e
            : new AppError("APPEND_OUTCOME_UNKNOWN", "The broker did not confirm the append before its time was over.", {}, e);
        }
        await this.clock.sleep(backoff.next_ms(), this.#closing.signal);
      }
    }
  }

  #encode(topic: string, byPartition: ReadonlyMap<number, NewRecord[]>, id: ProducerId): PartitionBatch[] {
    this.#output.clear();
    return [...byPartition].map(([partition, records]) => {
      const sequence = this.#sequences.get(`${topic} ${partition}`) ?? 0;
      return { partition, bytes: encodeBatch(records, { ...id, sequence, transactional: false }, this.#output) };
    });
  }

  /** Sequence numbers wrap from 2^31 − 1 to 0. */
  #advance(topic: string, partition: number, count: number): void {
    const key = `${topic} ${partition}`;
    this.#sequences.set(key, ((this.#sequences.get(key) ?? 0) + count) % 2 ** 31);
  }
}

const TRANSACTION_TIMEOUT_MS = 10_000;
/** How often, and after how long, a coordinator is asked again that is still ending the transaction before. */
const SETTLING_ATTEMPTS_MAX = 50;
const SETTLING_WAIT_MS = 100;
const SETTLING_ERRORS = [
  "CONCURRENT_TRANSACTIONS",
  "GROUP_LOAD_IN_PROGRESS",
  "GROUP_COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR_FOR_GROUP",
];
const COORDINATOR_TRANSACTION = 1;
const FENCED_ERRORS = ["INVALID_PRODUCER_EPOCH", "PRODUCER_FENCED", "INVALID_PRODUCER_ID_MAPPING"];

/**
 * A transactional producer with one transaction per append. Opening it fences the earlier holder of the id and settles what that
 * one left open. It breaks on the first failure; its owner opens a new one and looks what the log holds.
 */
export class KafkaFencedProducer implements Producer {
  #broken: AppError | undefined;
  readonly #sequences = new Map<number, number>();

  private constructor(
    private readonly cluster: ClusterHandle,
    private readonly fencingId: string,
    private readonly id: ProducerId,
    private readonly clock: Clock,
  ) {}

  static async open(cluster: ClusterHandle, fencingId: string, clock: Clock): Promise<KafkaFencedProducer> {
    try {
      const request = async (c: Cluster) =>
        (await transactionCoordinator(c, fencingId)).initProducerId({
          transactionalId: fencingId,
          transactionTimeout: TRANSACTION_TIMEOUT_MS,
        });
      const id = await cluster.use((c) => onceSettled(clock, () => request(c)));
      return new KafkaFencedProducer(
        cluster,
        fencingId,
        { producerId: Number(id.producerId), producerEpoch: id.producerEpoch },
        clock,
      );
    } catch (e) {
      cluster.close();
      throw e;
    }
  }

  async append(topic: string, records: readonly NewRecord[]): Promise<number[]> {
    if (this.#broken) throw this.#broken;
    const byPartition = groupByPartition(records);
    const transaction = { transactionalId: this.fencingId, ...this.id };
    const baseOffsets = new Map<number, number>();
    try {
      await this.cluster.use(async (cluster) => {
        const coordinator = await transactionCoordinator(cluster, this.fencingId);
        const topics = [{ topic, partitions: [...byPartition.keys()] }];
        await onceSettled(this.clock, () => coordinator.addPartitionsToTxn({ ...transaction, topics }));
        const output = new BatchOutput();
        const batches = [...byPartition].map(([partition, ofPartition]) => {
          const sequence = this.#sequences.get(partition) ?? 0;
          return { partition, bytes: encodeBatch(ofPartition, { ...this.id, sequence, transactional: true }, output) };
        });
        const unsettled = settle(await sendToLeaders(cluster, topic, batches, this.fencingId), baseOffsets);
        if (unsettled) throw new Error(`the broker answered ${unsettled}`);
        await coordinator.endTxn({ ...transaction, transactionResult: true });
      });
    } catch (e) {
      const type = kafkaErrorType(e);
      const isFenced =
        (e instanceof AppError && e.code === "PRODUCER_FENCED") || (type !== undefined && FENCED_ERRORS.includes(type));
      this.#broken = isFenced ? fenced(e) : new AppError("LOG_UNAVAILABLE", "This producer failed before; open a new one.");
      if (isFenced) throw this.#broken;
      throw new AppError(
        "APPEND_OUTCOME_UNKNOWN",
        `The transaction was not confirmed: ${e instanceof Error ? e.message : String(e)}`,
        {},
        e,
      );
    }
    for (const [partition, ofPartition] of byPartition) {
      this.#sequences.set(partition, (this.#sequences.get(partition) ?? 0) + ofPartition.length);
    }
    return offsetsOf(records, baseOffsets);
  }

  async close(): Promise<void> {
    this.#broken ??= new AppError("LOG_UNAVAILABLE", "This producer is closed.");
    this.cluster.close();
  }
}

const fenced = (e: unknown) => new AppError("PRODUCER_FENCED", "Another holder of this producer's id took over.", {}, e);

async function idempotentProducerId(cluster: Cluster): Promise<ProducerId> {
  const nodeId = cluster.getNodeIds()[0];
  if (nodeId === undefined) throw new Error("no broker is known");
  const broker = await cluster.findBroker({ nodeId });
  const id = await broker.initProducerId({ transactionTimeout: TRANSACTION_TIMEOUT_MS });
  return { producerId: Number(id.producerId), producerEpoch: id.producerEpoch };
}

const transactionCoordinator = (cluster: Cluster, transactionalId: string): Promise<Broker> =>
  cluster.findGroupCoordinator({ groupId: transactionalId, coordinatorType: COORDINATOR_TRANSACTION });

async function onceSettled<T>(clock: Clock, request: () => Promise<T>): Promise<T> {
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

/** Notes the confirmed partitions; names an error that sending again can mend, throws one that it cannot. */
function settle(answers: readonly ProduceAnswer[], baseOffsets: Map<number, number>): string | undefined {
  let retriable: string | undefined;
  for (const { partition, errorCode, baseOffset } of answers) {
    if (errorCode === 0) {
      baseOffsets.set(partition, baseOffset);
      continue;
    }
    const error = PRODUCE_ERRORS[errorCode] ?? { type: `error code ${errorCode}`, retriable: false };
    if (error.fenced) throw fenced(new Error(error.type));
    if (!error.retriable) throw new AppError("APPEND_OUTCOME_UNKNOWN", `The broker refused the append: ${error.type}.`);
    retriable = error.type;
  }
  return retriable;
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
