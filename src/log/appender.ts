import { type Clock, within } from "../clock.ts";
import { AppError, type ErrorCode } from "../errors.ts";
import type { AppendMeter } from "../telemetry/meters.ts";
import type { NewRecord, Producer } from "./log.ts";

export interface AppenderOptions {
  readonly producer: Producer;
  readonly topic: string;
  readonly clock: Clock;
  readonly queue_records_max: number;
  readonly batch_records_max: number;
  readonly meter?: AppendMeter | undefined;
}

interface Waiting {
  readonly record: NewRecord;
  readonly bytes: number;
  readonly deadline_ms: number;
  readonly resolve: (offset: number) => void;
  readonly reject: (error: AppError) => void;
  /** Its deadline passed while it was in flight. */
  isOverdue: boolean;
}

/** Of one append, over all partitions: well below a broker's message.max.bytes (1 MiB by default), which holds for each. */
const BATCH_BYTES_MAX = 768 * 1024;
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** A deadline may be noticed this much late. */
const SWEEP_MS = 50;

/**
 * Group commit: while one append is in flight, the next batch gathers. One append at a time is also what makes the producer safe.
 *
 * ```
 *  append() ─▶ queue ──batch──▶ in flight ──▶ acknowledged: offset
 *                │                 │  └─────▶ failed: the producer's error
 *                └── deadline ─────┴── deadline: LOG_UNAVAILABLE while queued, APPEND_OUTCOME_UNKNOWN in flight
 * ```
 */
export class Appender {
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #inFlight: Waiting[] = [];
  #sending: Promise<void> | undefined;
  #sweeping = false;
  #closed = false;

  constructor(private readonly options: AppenderOptions) {}

  /**
   * Resolves with the record's offset once the log has it. Rejects with OVERLOADED, SHUTTING_DOWN or LOG_UNAVAILABLE: it is not in
   * the log and never will be; APPEND_OUTCOME_UNKNOWN: it may be, now or later.
   */
  append(record: NewRecord, deadline_ms: number): Promise<number> {
    const bytes = sizeOf(record);
    if (this.#closed)
      return Promise.reject(new AppError("SHUTTING_DOWN", "The service is shutting down; ask another instance or again later."));
    if (this.#queue.length >= this.options.queue_records_max || this.#queuedBytes + bytes > QUEUE_BYTES_MAX) {
      return Promise.reject(
        new AppError("OVERLOADED", `${this.#queue.length} events already wait for the log; try again later.`),
      );
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ record, bytes, deadline_ms, resolve, reject, isOverdue: false });
      this.#queuedBytes += bytes;
      this.#sending ??= this.#send();
      if (!this.#sweeping) void this.#sweep();
    });
  }

  /** Takes no more, and resolves once what is queued has been sent, or after `wait_ms_max`; what is left then is rejected. */
  async close(wait_ms_max: number): Promise<void> {
    this.#closed = true;
    if (this.#sending) await within(this.options.clock, wait_ms_max, this.#sending);
    this.#expire(Number.POSITIVE_INFINITY);
    await this.options.producer.close();
  }

  async #send(): Promise<void> {
    // What else arrives in this turn of the event loop goes with the first.
    await this.options.clock.yield();
    while (this.#queue.length > 0) {
      // No record is sent after its deadline, however long the process stood still; placement counts on it.
      this.#expire(this.options.clock.now_ms());
      this.#inFlight = this.#takeBatch();
      if (this.#inFlight.length === 0) break;
      const records = this.#inFlight.map((waiting) => waiting.record);
      const deadline_ms = this.#inFlight.reduce((least, waiting) => Math.min(least, waiting.deadline_ms), Infinity);
      const { meter } = this.options;
      const began_s = meter?.now_s() ?? 0;
      let failure: ErrorCode | undefined;
      try {
        const offsets = await this.options.producer.append(this.options.topic, records, deadline_ms);
        for (const [i, waiting] of this.#inFlight.entries()) waiting.resolve(offsets[i] as number);
      } catch (e) {
        const error =
          e instanceof AppError ? e : new AppError("APPEND_OUTCOME_UNKNOWN", `The append failed: ${String(e)}`, {}, e);
        for (const waiting of this.#inFlight) waiting.reject(error);
        failure = error.code;
      }
      if (meter) {
        const isUnknown = failure === "APPEND_OUTCOME_UNKNOWN";
        const unknown = this.#inFlight.reduce((sum, { isOverdue }) => sum + (isUnknown || isOverdue ? 1 : 0), 0);
        meter.appended(failure ? "failed" : "acknowledged", records.length, unknown, meter.now_s() - began_s);
      }
      this.#inFlight = [];
    }
    this.#sending = undefined;
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      if (count >= this.options.batch_records_max || (count > 0 && bytes + waiting.bytes > BATCH_BYTES_MAX)) break;
      bytes += waiting.bytes;
      count++;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  /** One timer for all that wait, and none while nobody waits. */
  async #sweep(): Promise<void> {
    this.#sweeping = true;
    while (this.#queue.length > 0 || this.#inFlight.length > 0) {
      await this.options.clock.sleep(SWEEP_MS);
      this.#expire(this.options.clock.now_ms());
    }
    this.#sweeping = false;
  }

  /** Settling a promise twice does nothing, so a record in flight stays in its batch and only its waiter is told. */
  #expire(now_ms: number): void {
    for (const waiting of this.#inFlight) {
      if (waiting.isOverdue || waiting.deadline_ms > now_ms) continue;
      waiting.isOverdue = true;
      waiting.reject(outcomeUnknown());
    }
    const expired = this.#queue.filter((waiting) => waiting.deadline_ms <= now_ms);
    if (expired.length === 0) return;
    this.#queue = this.#queue.filter((waiting) => waiting.deadline_ms > now_ms);
    for (const waiting of expired) {
      this.#queuedBytes -= waiting.bytes;
      waiting.reject(new AppError("LOG_UNAVAILABLE", "The log did not take the event in time; it was not appended. Try again."));
    }
  }
}

const outcomeUnknown = () =>
  new AppError(
    "APPEND_OUTCOME_UNKNOWN",
    "The log did not confirm the event in time; it may or may not be appended. Try again with the same Idempotency-Key; without one, look before you retry.",
  );

function sizeOf(record: NewRecord): number {
  let bytes = (record.key?.length ?? 0) + (record.value?.length ?? 0) + 64;
  for (const [name, value] of record.headers) bytes += name.length + (value?.length ?? 0);
  return bytes;
}
