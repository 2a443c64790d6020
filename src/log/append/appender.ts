import { type Clock, within } from "../../system/clock.ts";
import { AppError } from "../../errors.ts";
import type { AppendMeter } from "../../telemetry/meters.ts";
import { type Appended, AppendQueues, type PendingAppend, type Queue } from "./append-queues.ts";
import type { IdempotentProducer, NewRecord, SendOutcome } from "../port.ts";
import { encodedBytes, IN_BATCH_EXTRA_BYTES } from "./record-size.ts";

export interface AppenderOptions {
  readonly producer: IdempotentProducer;
  readonly topic: string;
  readonly clock: Clock;
  readonly queue_records_max: number;
  readonly batch_records_max: number;
  /** No reader takes a longer value. */
  readonly value_bytes_max: number;
  /** Called for every event that the log refused for good or did not take before its deadline. */
  readonly onNotTaken?: (error: AppError) => void;
  readonly meter?: AppendMeter | undefined;
}

interface Send {
  readonly batch: readonly PendingAppend[];
  readonly done: Promise<void>;
}

/** The most bytes of one send, over all its partitions, and so of each partition's batch. */
export const BATCH_BYTES_MAX = 768 * 1024;
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** How late a passed deadline may be noticed. */
export const SWEEP_MS = 50;
/**
 * A send ends this long before the first deadline in it. Records that share the send with one that cannot be sent then
 * hear of their own fate in time.
 */
export const ANSWER_MARGIN_MS = 200;
/** A record that was not sent because of another record's deadline is sent again if it has this much time left. */
export const RESEND_MS_MIN = 500;

/**
 * Group commit, lane by lane: while one send is under way, the next batch gathers. Lanes do not wait for each other,
 * and each record has its own fate.
 *
 * ```
 *  append() ─▶ the partition's queue ──a lane's batch──▶ in flight ──▶ acknowledged: where the log has it
 *                │            ▲                           │  │  └──▶ failed, refused: the producer's error for it
 *                │            └── not sent, time left ────┘  │
 *                │                                           └── deadline ──▶ APPEND_OUTCOME_UNKNOWN
 *                └── deadline ──▶ LOG_UNAVAILABLE
 * ```
 */
export class Appender {
  readonly #queues = new AppendQueues(({ reject }, { failure }) => {
    const error = notInTime(failure);
    this.#reportNotTaken(error);
    reject(error);
  });
  /** The send under way in each lane. */
  readonly #sends = new Map<string, Send>();
  #gathering: Promise<void> | undefined;
  #sweeping = false;
  #closed = false;

  constructor(private readonly options: AppenderOptions) {}

  /**
   * Resolves once the log has the record. Rejects with:
   *
   * - OVERLOADED, SHUTTING_DOWN, LOG_UNAVAILABLE: the record is not in the log and never will be.
   * - EVENT_TOO_LARGE, APPEND_REFUSED: likewise, and to try again would not help.
   * - APPEND_OUTCOME_UNKNOWN: the record may be in the log, now or later.
   */
  append(record: NewRecord, deadline_ms: number): Promise<Appended> {
    if (this.#closed)
      return Promise.reject(new AppError("SHUTTING_DOWN", "The service is shutting down; ask another instance or again later."));
    const recordBytes = encodedBytes(record);
    const tooLarge = this.#tooLarge(record, recordBytes);
    if (tooLarge) {
      this.#reportNotTaken(tooLarge);
      return Promise.reject(tooLarge);
    }
    const bytes = recordBytes + IN_BATCH_EXTRA_BYTES;
    const queued = this.#queues;
    if (queued.records >= this.options.queue_records_max || queued.bytes + bytes > QUEUE_BYTES_MAX)
      return Promise.reject(new AppError("OVERLOADED", `${queued.records} events already wait for the log; try again later.`));
    return new Promise((resolve, reject) => {
      const queue = this.#queues.push({ record, bytes, deadline_ms, resolve, reject, isOverdue: false });
      if (!this.#gathering && this.#isFree(queue)) this.#gathering = this.#gather();
      if (!this.#sweeping) void this.#sweep();
    });
  }

  /**
   * Takes no more records. Resolves once the queued ones have been sent, or after `wait_ms_max`; the rest is then
   * rejected.
   */
  async close(wait_ms_max: number): Promise<void> {
    this.#closed = true;
    await within(this.options.clock, wait_ms_max, this.#drain());
    this.#expire(Number.POSITIVE_INFINITY);
    await this.options.producer.close();
  }

  async #drain(): Promise<void> {
    while (this.#gathering || this.#sends.size > 0) {
      const underWay = [...this.#sends.values()].map(({ done }) => done);
      if (this.#gathering) underWay.push(this.#gathering);
      await Promise.race(underWay);
    }
  }

  #laneOf({ partition, failure }: Queue): string {
    return failure ? `partition ${partition} alone` : this.options.producer.lane(this.options.topic, partition);
  }

  #isFree(queue: Queue): boolean {
    return !queue.isSending && !this.#sends.has(this.#laneOf(queue));
  }

  #tooLarge({ value, partition }: NewRecord, recordBytes: number): AppError | undefined {
    const { value_bytes_max } = this.options;
    // A record is always longer than its value, so most values need not be measured again.
    if (recordBytes <= value_bytes_max || value === null) return undefined;
    const valueBytes = typeof value === "string" ? Buffer.byteLength(value) : value.length;
    if (valueBytes <= value_bytes_max) return undefined;
    const message = `The event has ${valueBytes} bytes, and no reader takes more than ${value_bytes_max}; it was not appended.`;
    return new AppError("EVENT_TOO_LARGE", message, { partition });
  }

  #reportNotTaken(error: AppError): void {
    this.options.onNotTaken?.(error);
    this.options.meter?.notTaken(error.code);
  }

  /** Records that arrive in the same turn of the event loop go with the first one. */
  async #gather(): Promise<void> {
    await this.options.clock.yield();
    this.#gathering = undefined;
    this.#sendNext();
  }

  /** Starts a send in every lane that is free and has something to send. */
  #sendNext(): void {
    if (this.#queues.records === 0) return;
    const lanes = new Map<string, Queue[]>();
    for (const queue of this.#queues) {
      if (queue.waiting.length === 0 || queue.isSending) continue;
      const lane = this.#laneOf(queue);
      if (this.#sends.has(lane)) continue;
      const ofLane = lanes.get(lane);
      if (ofLane) ofLane.push(queue);
      else lanes.set(lane, [queue]);
    }
    for (const [lane, queues] of lanes) {
      const batch = this.#takeBatch(queues);
      if (batch.length > 0) this.#sends.set(lane, { batch, done: this.#send(lane, batch) });
    }
  }

  async #send(lane: string, batch: readonly PendingAppend[]): Promise<void> {
    const { producer, topic, clock, meter } = this.options;
    for (const { record } of batch) this.#queues.of(record.partition).isSending = true;
    const records = batch.map((waiting) => waiting.record);
    const deadline_ms = sendDeadline(batch, clock.now_ms());
    const began_s = meter?.now_s() ?? 0;
    let outcomes: readonly SendOutcome[];
    try {
      outcomes = await producer.send(topic, records, deadline_ms);
    } catch (e) {
      const error = new AppError("APPEND_OUTCOME_UNKNOWN", `The append failed: ${String(e)}`, {}, e);
      outcomes = records.map(() => ({ error }));
    }
    const took_s = meter ? meter.now_s() - began_s : 0;
    const { acknowledged, unknown } = this.#settle(batch, outcomes, deadline_ms);
    meter?.appended(acknowledged > 0 ? "acknowledged" : "failed", records.length, unknown, took_s);
    this.#sends.delete(lane);
    this.#sendNext();
  }

  /** Tells each waiter what became of its record. Records that were not sent and have time left are put back. */
  #settle(
    batch: readonly PendingAppend[],
    outcomes: readonly SendOutcome[],
    deadline_ms: number,
  ): { acknowledged: number; unknown: number } {
    const now_ms = this.options.clock.now_ms();
    const againFrom_ms = now_ms >= deadline_ms && !this.#closed ? now_ms + RESEND_MS_MIN : Number.POSITIVE_INFINITY;
    const again: PendingAppend[] = [];
    let acknowledged = 0;
    let unknown = 0;
    for (let i = 0; i < batch.length; i++) {
      const waiting = batch[i] as PendingAppend;
      const outcome = outcomes[i] as SendOutcome;
      const queue = this.#queues.of(waiting.record.partition);
      queue.isSending = false;
      if (!("error" in outcome)) {
        queue.failure = undefined;
        acknowledged++;
        if (waiting.isOverdue) unknown++;
        waiting.resolve(outcome);
        continue;
      }
      const { error } = outcome;
      // I9: what may have been appended is told apart from what was not.
      const isUnknown = error.code === "APPEND_OUTCOME_UNKNOWN";
      if (waiting.isOverdue || isUnknown) unknown++;
      if (isUnknown || error.code === "LOG_UNAVAILABLE") queue.failure = error;
      if (error.code === "LOG_UNAVAILABLE" && waiting.deadline_ms >= againFrom_ms) {
        again.push(waiting);
        continue;
      }
      if (!isUnknown) this.#reportNotTaken(error);
      waiting.reject(error);
    }
    if (again.length > 0) this.#queues.putBack(again);
    return { acknowledged, unknown };
  }

  /** No record is sent after its deadline, however long the process stood still. Placement relies on that (I8). */
  #takeBatch(queues: readonly Queue[]): PendingAppend[] {
    const { producer, topic, clock, batch_records_max } = this.options;
    const partition_bytes_max = Math.min(BATCH_BYTES_MAX, producer.batchBytesMax(topic));
    const limits = { records_max: batch_records_max, bytes_max: BATCH_BYTES_MAX, partition_bytes_max };
    return this.#queues.take(queues, limits, clock.now_ms());
  }

  /** One timer serves all that wait. None runs while nobody waits. */
  async #sweep(): Promise<void> {
    this.#sweeping = true;
    while (this.#queues.records > 0 || this.#sends.size > 0) {
      await this.options.clock.sleep(SWEEP_MS);
      this.#expire(this.options.clock.now_ms());
    }
    this.#sweeping = false;
  }

  /** Settling a promise twice does nothing, so a record in flight stays in its batch and only its waiter is told. */
  #expire(now_ms: number): void {
    for (const { batch } of this.#sends.values()) {
      for (const waiting of batch) {
        if (waiting.isOverdue || waiting.deadline_ms > now_ms) continue;
        waiting.isOverdue = true;
        waiting.reject(outcomeUnknown());
      }
    }
    this.#queues.expire(now_ms);
  }
}

/** A send ends ANSWER_MARGIN_MS before the first deadline of its batch, or halfway to it if that is later. */
function sendDeadline(batch: readonly PendingAppend[], now_ms: number): number {
  let first_ms = Number.POSITIVE_INFINITY;
  for (const { deadline_ms } of batch) first_ms = Math.min(first_ms, deadline_ms);
  return first_ms - Math.min(ANSWER_MARGIN_MS, Math.floor((first_ms - now_ms) / 2));
}

function notInTime(failure: AppError | undefined): AppError {
  const why = failure?.code === "LOG_UNAVAILABLE" ? `: ${failure.message}` : ". Try again.";
  return new AppError("LOG_UNAVAILABLE", `The log did not take the event in time; it was not appended${why}`);
}

const outcomeUnknown = () =>
  new AppError(
    "APPEND_OUTCOME_UNKNOWN",
    "The log did not confirm the event in time; it may or may not be appended. Try again with the same Idempotency-Key; without one, look before you retry.",
  );
