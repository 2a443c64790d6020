import { AppError } from "../../errors.ts";
import type { Clock } from "../../clock.ts";
import type { FetchLimits, FetchResult, Reader, Watermarks } from "../log.ts";
import { type Broker, type Cluster, type ClusterHandle, Encoder, type Exchange, unavailable } from "./cluster.ts";
import { type AbortedTransaction, decodeBatches, readInt64 } from "./record-batch.ts";

/** A fetch answer is at most about this large, whatever the number of partitions. */
const RESPONSE_BYTES_MAX = 8 * 1024 * 1024;
/** After an answer that only a newer view of the cluster can mend, so that asking again does not spin. */
const STALE_METADATA_WAIT_MS = 50;
const REQUEST_SLACK_MS = 3_000;

const ERROR_OFFSET_OUT_OF_RANGE = 1;
const ERROR_TOPIC_AUTHORIZATION_FAILED = 29;

/**
 * Reads partitions without a consumer group (Fetch, version 11, isolation read_committed): one outstanding request per leader,
 * so that a slow broker delays only its own partitions. Any failure throws the connections away.
 */
export class KafkaReader implements Reader {
  readonly #outstanding = new Map<string, Promise<void>>();
  #arrived: FetchResult[] = [];
  #failure: Error | undefined;
  #staleMetadata = false;
  #requests = 0;
  readonly #closed = Promise.withResolvers<void>();

  constructor(
    private readonly cluster: ClusterHandle,
    private readonly topic: string,
    private readonly watermarks: () => Promise<Watermarks[]>,
    private readonly clock: Clock,
  ) {}

  async fetch(positions: ReadonlyMap<number, number>, limits: FetchLimits): Promise<FetchResult[]> {
    await this.cluster.use(async (cluster) => {
      if (this.#staleMetadata) {
        await this.clock.sleep(STALE_METADATA_WAIT_MS);
        await cluster.refreshMetadata();
        this.#staleMetadata = false;
      }
      for (const [leader, wanted] of this.#byLeader(cluster, positions)) {
        if (!this.#outstanding.has(leader)) this.#request(cluster, leader, wanted, limits);
      }
      if (this.#outstanding.size === 0) await this.clock.sleep(STALE_METADATA_WAIT_MS);
      else if (this.#arrived.length === 0 && !this.#failure)
        await Promise.race([...this.#outstanding.values(), this.#closed.promise]);
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure) throw failure;
    });
    const arrived = this.#arrived;
    this.#arrived = [];
    return Promise.all(arrived.filter((r) => stillWanted(r, positions)).map((r) => this.#withWatermarks(r, positions)));
  }

  async close(): Promise<void> {
    this.#closed.resolve();
    this.cluster.close();
  }

  #byLeader(cluster: Cluster, positions: ReadonlyMap<number, number>): Map<string, Map<number, number>> {
    const leaders = new Map<number, number>();
    for (const { partitionId, leader } of cluster.findTopicPartitionMetadata(this.topic)) leaders.set(partitionId, leader);
    const byLeader = new Map<string, Map<number, number>>();
    for (const [partition, offset] of positions) {
      const leader = leaders.get(partition);
      if (leader === undefined || leader < 0) {
        this.#staleMetadata = true;
        continue;
      }
      const wanted = byLeader.get(String(leader));
      if (wanted) wanted.set(partition, offset);
      else byLeader.set(String(leader), new Map([[partition, offset]]));
    }
    return byLeader;
  }

  #request(cluster: Cluster, leader: string, wanted: ReadonlyMap<number, number>, limits: FetchLimits): void {
    const work = async () => {
      try {
        const broker = await cluster.findBroker({ nodeId: leader });
        await this.#take(broker, wanted, limits);
      } catch (e) {
        this.#failure = e instanceof Error ? e : new Error(String(e));
      } finally {
        this.#outstanding.delete(leader);
      }
    };
    this.#outstanding.set(leader, work());
  }

  async #take(broker: Broker, wanted: ReadonlyMap<number, number>, limits: FetchLimits): Promise<void> {
    const answers = await broker.connectionPool.send(fetchExchange(this.topic, rotated(wanted, this.#requests++), limits));
    for (const answer of answers) {
      const baseOffset = wanted.get(answer.partition);
      if (baseOffset === undefined) continue;
      if (answer.errorCode === ERROR_OFFSET_OUT_OF_RANGE) {
        this.#arrived.push({ partition: answer.partition, outOfRange: { startOffset: -1, endOffset: -1 } });
      } else if (answer.errorCode === ERROR_TOPIC_AUTHORIZATION_FAILED) {
        throw new AppError("LOG_UNAVAILABLE", `The broker does not allow reading ${this.topic}; grant READ on it to this user.`);
      } else if (answer.errorCode !== 0) {
        this.#staleMetadata = true;
      } else if (answer.bytes.length > 0) {
        this.#arrived.push(decodeAnswer(answer, baseOffset));
      }
    }
  }

  /** The broker's "out of range" carries no range; it is asked for, and a partition that is in range after all is fetched again. */
  async #withWatermarks(result: FetchResult, positions: ReadonlyMap<number, number>): Promise<FetchResult> {
    if (!("outOfRange" in result)) return result;
    const watermarks = (await this.watermarks())[result.partition];
    const offset = positions.get(result.partition) ?? 0;
    if (!watermarks) throw unavailable(`partition ${result.partition} of ${this.topic} is gone`);
    if (offset < watermarks.startOffset || offset > watermarks.endOffset)
      return { partition: result.partition, outOfRange: watermarks };
    const { partition } = result;
    return {
      partition,
      batch: { partition, baseOffset: offset, nextOffset: offset, endOffset: watermarks.endOffset, records: [] },
    };
  }
}

function stillWanted(result: FetchResult, positions: ReadonlyMap<number, number>): boolean {
  const offset = positions.get(result.partition);
  return "batch" in result ? result.batch.baseOffset === offset : offset !== undefined;
}

function decodeAnswer(answer: PartitionAnswer, baseOffset: number): FetchResult {
  const { partition } = answer;
  try {
    const { records, nextOffset } = decodeBatches(answer.bytes, baseOffset, answer.aborted);
    return { partition, batch: { partition, baseOffset, nextOffset, endOffset: answer.highWatermark, records } };
  } catch (e) {
    return { partition, unreadable: e instanceof Error ? e.message : String(e) };
  }
}

interface PartitionAnswer {
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly aborted: readonly AbortedTransaction[];
  readonly bytes: Buffer;
}

/** Fetch version 11: https://kafka.apache.org/protocol#The_Messages_Fetch */
function fetchExchange(topic: string, wanted: ReadonlyMap<number, number>, limits: FetchLimits): Exchange<PartitionAnswer[]> {
  return {
    request: {
      apiKey: 1,
      apiVersion: 11,
      apiName: "Fetch",
      encode: async () => {
        const request = new Encoder()
          .writeInt32(-1)
          .writeInt32(limits.wait_ms_max)
          .writeInt32(1)
          .writeInt32(RESPONSE_BYTES_MAX)
          .writeInt8(1)
          .writeInt32(0)
          .writeInt32(-1)
          .writeInt32(1)
          .writeString(topic)
          .writeInt32(wanted.size);
        for (const [partition, offset] of wanted) {
          request
            .writeInt32(partition)
            .writeInt32(-1)
            .writeInt32(Math.floor(offset / 2 ** 32))
            .writeUInt32(offset % 2 ** 32)
            .writeInt32(-1)
            .writeInt32(-1)
            .writeInt32(limits.partition_bytes_max);
        }
        return request.writeInt32(0).writeString("");
      },
    },
    response: { decode: async (payload) => decodeFetchAnswer(payload), parse: async (answers) => answers },
    requestTimeout: limits.wait_ms_max + REQUEST_SLACK_MS,
  };
}

/** The broker fills an answer in the order asked (KIP-74), so each request begins with another partition and none starves. */
function rotated(wanted: ReadonlyMap<number, number>, by: number): Map<number, number> {
  const entries = [...wanted];
  const first = by % entries.length;
  return new Map([...entries.slice(first), ...entries.slice(0, first)]);
}

function decodeFetchAnswer(payload: Buffer): PartitionAnswer[] {
  const answers: PartitionAnswer[] = [];
  const errorCode = payload.readInt16BE(4);
  if (errorCode !== 0) throw new Error(`Fetch answered error code ${errorCode}`);
  let at = 10;
  const int32 = () => payload.readInt32BE((at += 4) - 4);
  const int64 = () => readInt64(payload, (at += 8) - 8);
  for (let topics = int32(); topics > 0; topics--) {
    at += 2 + payload.readInt16BE(at);
    for (let partitions = int32(); partitions > 0; partitions--) {
      const partition = int32();
      const partitionError = payload.readInt16BE((at += 2) - 2);
      const highWatermark = int64();
      at += 16;
      const aborted: AbortedTransaction[] = [];
      for (let count = int32(); count > 0; count--) aborted.push({ producerId: int64(), firstOffset: int64() });
      aborted.sort((a, b) => a.firstOffset - b.firstOffset);
      at += 4;
      const length = Math.max(0, int32());
      answers.push({ partition, errorCode: partitionError, highWatermark, aborted, bytes: payload.subarray(at, (at += length)) });
    }
  }
  return answers;
}
