import { AppError, isAppError } from "../../../src/errors.ts";
import type { IdempotentProducer, NewRecord, SendOutcome } from "../../../src/log/port.ts";
import type { MemoryLog } from "./memory-log.ts";
import { BROKERS, type Fence } from "./memory-topics.ts";

export class MemoryProducer implements IdempotentProducer {
  #appending = false;
  #closed = false;
  constructor(
    readonly log: MemoryLog,
    readonly fence: Fence | undefined,
  ) {}

  /** The broker that leads the partition; with each leader epoch it is the next broker. */
  lane(topic: string, partition: number): string {
    const leaderEpoch = this.log.broker.topics.topic(topic)[partition]?.leaderEpoch ?? 0;
    return String((partition + leaderEpoch) % BROKERS);
  }

  batchBytesMax(topic: string): number {
    return this.log.broker.topics.batchBytesMax(topic);
  }

  async append(topic: string, records: readonly NewRecord[], deadline_ms?: number): Promise<number[]> {
    if (this.#appending) throw new Error("A producer appends one batch at a time: wait for the append before this one.");
    this.#appending = true;
    try {
      const outcomes = await this.#request(topic, records, deadline_ms, () => this.#landAll(topic, records));
      const offsets = outcomes.flatMap((outcome) => ("offset" in outcome ? outcome.offset : []));
      if (offsets.length === records.length) return offsets;
      if (offsets.length > 0) throw outcomeUnknown();
      throw outcomes.flatMap((outcome) => ("error" in outcome ? outcome.error : []))[0]!;
    } finally {
      this.#appending = false;
    }
  }

  async send(topic: string, records: readonly NewRecord[], deadline_ms?: number): Promise<SendOutcome[]> {
    try {
      return await this.#request(topic, records, deadline_ms, () => this.#landEach(topic, records));
    } catch (e) {
      const error = isAppError(e) ? e : outcomeUnknown(e);
      return records.map(() => ({ error }));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  /**
   * Brings the records to the broker, where `land` runs in one step, and the answer back, as far as the fault allows.
   */
  async #request(
    topic: string,
    records: readonly NewRecord[],
    deadline_ms = Number.POSITIVE_INFINITY,
    land: () => SendOutcome[],
  ): Promise<SendOutcome[]> {
    if (this.#closed) throw new AppError("LOG_UNAVAILABLE", "The producer was closed by this process.");
    const { broker, name, clock } = this.log;
    if (clock.now_ms() >= deadline_ms) throw new AppError("LOG_UNAVAILABLE", "The append came too late and was not sent.");
    const fault = await this.log.call(() => broker.faults.onAppend(name, topic, records));
    if (fault === "reject") throw new AppError("LOG_UNAVAILABLE", "The broker refused the append. Try again.");
    if (fault === "hang") await broker.clock.sleep(broker.request_wait_ms_max);
    if (fault === "land-late") void this.#landLate(topic, records, land);
    if (fault === "hang" || fault === "land-late") throw outcomeUnknown();
    if (broker.faults.isDenied(name, topic)) throw denied(topic);
    const outcomes = land();
    if (fault === "lose-answer") throw outcomeUnknown();
    // The answer's way back takes a call of its own.
    return this.log
      .call(() => outcomes)
      .catch((e: unknown) => {
        throw outcomes.some((outcome) => "offset" in outcome) ? outcomeUnknown(e) : e;
      });
  }

  /**
   * Lands all records, or none if the log never takes one of them; records of partitions without a leader are left out.
   */
  #landAll(topic: string, records: readonly NewRecord[]): SendOutcome[] {
    const { topics } = this.log.broker;
    for (const [partition, ofPartition] of Map.groupBy(records, (record) => record.partition)) {
      topics.partition(topic, partition);
      const error = topics.refusal(topic, ofPartition);
      if (error) return records.map(() => ({ error }));
    }
    const isLed = records.map(({ partition }) => this.#isLed(topic, partition));
    const led = records.filter((_, index) => isLed[index]);
    // A fenced append is a transaction: all or nothing.
    if (this.fence !== undefined && led.length < records.length) return records.map(() => ({ error: leaderless() }));
    const offsets = topics.land(topic, led, this.fence);
    return records.map((record, index) =>
      isLed[index] ? { offset: offsets.shift()!, leaderEpoch: this.#epoch(topic, record) } : { error: leaderless() },
    );
  }

  #landEach(topic: string, records: readonly NewRecord[]): SendOutcome[] {
    const { topics } = this.log.broker;
    return records.map((record): SendOutcome => {
      try {
        topics.partition(topic, record.partition);
        const error = topics.refusal(topic, [record]);
        if (error) return { error };
        if (!this.#isLed(topic, record.partition)) return { error: leaderless() };
        const [offset = 0] = topics.land(topic, [record], this.fence);
        return { offset, leaderEpoch: this.#epoch(topic, record) };
      } catch (e) {
        if (isAppError(e)) return { error: e };
        throw e;
      }
    });
  }

  #isLed(topic: string, partition: number): boolean {
    return this.log.broker.faults.leader(topic, partition) !== "none";
  }

  #epoch(topic: string, { partition }: NewRecord): number {
    return this.log.broker.topics.partition(topic, partition).leaderEpoch;
  }

  /** Lands the records late, and only if each partition still has the leader that they were sent to. */
  async #landLate(topic: string, records: readonly NewRecord[], land: () => unknown): Promise<void> {
    const { broker } = this.log;
    const termsOf = () =>
      [broker.topics.find(topic)?.topicId, ...records.map(({ partition }) => broker.topics.topic(topic)[partition]?.term)].join();
    const terms = termsOf();
    await broker.clock.sleep(broker.late_ms);
    try {
      if (termsOf() === terms) land();
    } catch {
      // The producer is fenced by now, so its records must not land.
    }
  }
}

export const denied = (topicOrFencingId: string): AppError =>
  new AppError("APPEND_REFUSED", `This process has no right to append to ${topicOrFencingId}; nothing was appended.`);

const leaderless = (): AppError =>
  new AppError("LOG_UNAVAILABLE", "The partition has no leader now; nothing was appended. Try again.");

const outcomeUnknown = (cause?: unknown): AppError =>
  new AppError("APPEND_OUTCOME_UNKNOWN", "The broker's answer was lost: the records may or may not be in the log.", {}, cause);
