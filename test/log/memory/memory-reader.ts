import { AppError } from "../../../src/errors.ts";
import type { FetchLimits, FetchResult, Isolation, Reader } from "../../../src/log/port.ts";
import type { MemoryLog } from "./memory-log.ts";
import type { MemoryPartition } from "./memory-topics.ts";

/** What a reader knows of a partition that it has read. */
interface Known {
  /** The same object for as long as the topic is the same. */
  readonly partition: MemoryPartition | undefined;
  readonly term: number;
  readonly connection: number;
  /** Whether the reader was told that the partition has no leader. */
  isLeaderless: boolean;
}

export class MemoryReader implements Reader {
  readonly isThrottled = false;
  #closed = false;
  /** Counts the connections that were lost. */
  #connection = 0;
  readonly #known = new Map<number, Known>();
  constructor(
    readonly log: MemoryLog,
    readonly topic: string,
    readonly isolation: Isolation,
  ) {}

  async fetch(positions: ReadonlyMap<number, number>, limits: FetchLimits): Promise<FetchResult[]> {
    const { broker } = this.log;
    const deadline_ms = broker.clock.now_ms() + limits.wait_ms_max;
    while (true) {
      const fault = await this.#ask();
      if (this.#closed) throw new AppError("LOG_UNAVAILABLE", "The reader was closed by this process.");
      if (fault === "reject") throw new AppError("LOG_UNAVAILABLE", "The broker refused the fetch. Try again.");
      if (fault === "hang") {
        await broker.clock.sleep(broker.request_wait_ms_max);
        this.#connection++;
      }
      const isEmpty = fault === "empty" || fault === "hang";
      const bytes_max = fault === "partial" ? 1 : limits.partition_bytes_max;
      const results: FetchResult[] = [];
      for (const [partition, position] of positions) {
        const isRead = !isEmpty && limits.only?.has(partition) !== false;
        const result = this.#interrupted(partition) ?? (isRead ? this.#read(partition, position, bytes_max) : undefined);
        if (result) results.push(result);
      }
      const left_ms = deadline_ms - broker.clock.now_ms();
      if (isEmpty || results.some(movesOn) || left_ms <= 0) return results;
      await broker.topics.arrival(left_ms);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.log.broker.topics.notify();
  }

  async #ask() {
    const { broker, name } = this.log;
    try {
      return await this.log.call(() => broker.faults.onFetch(name, this.topic));
    } catch (e) {
      this.#connection++;
      throw e;
    }
  }

  #read(partition: number, position: number, bytes_max: number): FetchResult | undefined {
    const { topics, faults } = this.log.broker;
    const known = this.#known.get(partition);
    if (!known?.partition) return undefined;
    const leader = faults.leader(this.topic, partition);
    if (leader !== "none") {
      known.isLeaderless = false;
      const [isolation, lag_records] = [this.isolation, leader === "ok" ? 0 : leader];
      return topics.read(this.topic, partition, position, { bytes_max, lag_records, isolation });
    }
    if (known.isLeaderless) return undefined;
    known.isLeaderless = true;
    return { partition, unavailable: `The partition ${this.topic}-${partition} has no leader now.` };
  }

  /** Reports, once, that the partition may no longer hold what was read of it before. */
  #interrupted(number: number): FetchResult | undefined {
    const partition = this.log.broker.topics.topic(this.topic)[number];
    const known = this.#known.get(number);
    const term = partition?.term ?? 0;
    const isSame = known && known.partition === partition && known.term === term && known.connection === this.#connection;
    if (isSame) return undefined;
    this.#known.set(number, { partition, term, connection: this.#connection, isLeaderless: known?.isLeaderless ?? false });
    if (!partition) {
      return { partition: number, interrupted: `The topic ${this.topic} or its partition ${number} is not known.`, isGone: true };
    }
    if (!known) return undefined;
    if (known.partition !== partition) return { partition: number, interrupted: `The topic ${this.topic} may be another one.` };
    const cause = known.term === term ? "The connection was lost" : "The leader changed";
    return { partition: number, interrupted: `${cause}: what it holds of ${this.topic}-${number} may be other than before.` };
  }
}

/** Whether the result is reported at once; news of records that cannot be read yet is not. */
const movesOn = (result: FetchResult): boolean => !("batch" in result) || result.batch.nextOffset > result.batch.baseOffset;
