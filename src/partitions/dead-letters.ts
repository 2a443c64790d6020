import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import { Backoff, type BackoffLimits } from "../log/backoff.ts";
import type { Header, Log, LogRecord, NewRecord, Producer } from "../log/log.ts";
import { DEAD_LETTER_HEADERS } from "../log/operation-headers.ts";
import type { Random } from "../random.ts";
import type { DeadLetter } from "./actor-environment.ts";

/** One append stays well below a broker's message.max.bytes (1 MiB by default), unless one record alone is larger. */
const APPEND_BYTES_MAX = 512 * 1024;
const TAIL_RECORDS = 1_000;
/** Answers without a record in a row, before it is tried again from the beginning, after a pause. */
const EMPTY_ANSWERS_MAX = 10;
const TAIL_READ = { wait_ms_max: 500, partition_bytes_max: 1024 * 1024 };

export interface DeadLetterOptions {
  readonly log: Log;
  /** The topic the letters come from. */
  readonly topic: string;
  readonly deadLetterTopic: string;
  readonly isOwner: () => boolean;
  readonly backoff: BackoffLimits;
  readonly clock: Clock;
  readonly random: Random;
  /** Told of letters that are in the topic now and were not before. */
  readonly appended?: ((partition: number, letters: number) => void) | undefined;
  readonly warn: (partition: number, message: string) => void;
}

/**
 * Appends dead letters, each once, whatever crashes, is delivered again or rebuilt from the start.
 *
 * Letters of one partition are appended in offset order by one producer, which fences every earlier one. So the last letter of the
 * partition in the topic tells through which offset all were delivered: after opening, it is read back, and only what follows it is
 * appended. A letter goes out before the offset behind it is committed. See src/decisions/0003-dead-letters-once.md.
 *
 * ```
 *  (none) ──open, read back──▶ delivering ──any failure──▶ (none), back off, again
 * ```
 */
export class DeadLetters {
  readonly #partitions = new Map<number, { producer: Producer; deliveredThrough: number }>();

  constructor(private readonly options: DeadLetterOptions) {}

  /** Resolves once all letters (ascending offsets) are in the topic; rejects only when `signal` aborts or the partition has another owner. */
  async deliver(partition: number, letters: readonly DeadLetter[], signal: AbortSignal): Promise<void> {
    const { clock, random, warn, isOwner } = this.options;
    const backoff = new Backoff(this.options.backoff, random);
    for (;;) {
      if (signal.aborted) throw new AppError("SHUTTING_DOWN", "The partition is being given up.");
      if (!isOwner()) throw new AppError("PRODUCER_FENCED", "The partition has another owner.");
      try {
        await this.#deliver(partition, letters);
        return;
      } catch (e) {
        await this.#drop(partition);
        warn(partition, `Dead letters could not be appended and are tried again: ${e instanceof Error ? e.message : String(e)}`);
        await clock.sleep(backoff.next_ms(), signal);
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#partitions.keys()].map((partition) => this.#drop(partition)));
  }

  async #deliver(partition: number, letters: readonly DeadLetter[]): Promise<void> {
    const open = this.#partitions.get(partition) ?? (await this.#open(partition));
    const target = await this.#targetPartition(partition);
    let records: NewRecord[] = [];
    let bytes = 0;
    const flush = async (through: number) => {
      if (records.length > 0) {
        await open.producer.append(this.options.deadLetterTopic, records);
        this.options.appended?.(partition, records.length);
      }
      open.deliveredThrough = through;
      records = [];
      bytes = 0;
    };
    let through = open.deliveredThrough;
    for (const letter of letters) {
      if (letter.record.offset <= open.deliveredThrough) continue;
      const size = (letter.record.key?.length ?? 0) + (letter.record.value?.length ?? 0);
      if (records.length > 0 && bytes + size > APPEND_BYTES_MAX) await flush(through);
      records.push(this.#toRecord(letter, partition, target));
      bytes += size;
      through = letter.record.offset;
    }
    await flush(through);
  }

  async #open(partition: number): Promise<{ producer: Producer; deliveredThrough: number }> {
    const { log, deadLetterTopic } = this.options;
    const producer = await log.fencedProducer(`${deadLetterTopic}.${partition}`);
    try {
      const open = { producer, deliveredThrough: await this.#readBack(partition) };
      this.#partitions.set(partition, open);
      return open;
    } catch (e) {
      await producer.close();
      throw e;
    }
  }

  async #drop(partition: number): Promise<void> {
    const open = this.#partitions.get(partition);
    this.#partitions.delete(partition);
    await open?.producer.close();
  }

  /** The offset of the partition's last letter in the topic, −1 if it has none: searched from the end, a window at a time. */
  async #readBack(partition: number): Promise<number> {
    const { log, deadLetterTopic } = this.options;
    const target = await this.#targetPartition(partition);
    const watermarks = (await log.watermarks(deadLetterTopic))[target];
    if (!watermarks) throw new AppError("LOG_UNAVAILABLE", `Partition ${target} of ${deadLetterTopic} is missing.`);
    const reader = log.reader(deadLetterTopic);
    try {
      for (let end = watermarks.endOffset; end > watermarks.startOffset;) {
        const start = Math.max(watermarks.startOffset, end - TAIL_RECORDS);
        let found = -1;
        for (let at = start, empty = 0; at < end;) {
          const [result] = await reader.fetch(new Map([[target, at]]), TAIL_READ);
          const isEmpty = !result || ("batch" in result && result.batch.nextOffset === at);
          empty = isEmpty ? empty + 1 : 0;
          if (isEmpty && empty < EMPTY_ANSWERS_MAX) continue;
          if (isEmpty || !("batch" in result))
            throw new AppError("LOG_UNAVAILABLE", `${deadLetterTopic} cannot be read back at offset ${at}.`);
          for (const record of result.batch.records) found = Math.max(found, originOffset(record, this.options.topic, partition));
          at = result.batch.nextOffset;
        }
        if (found >= 0) return found;
        end = start;
      }
      return -1;
    } finally {
      await reader.close();
    }
  }

  async #targetPartition(partition: number): Promise<number> {
    const { log, deadLetterTopic } = this.options;
    const count = await log.partitionCount(deadLetterTopic);
    if (count === 0) throw new AppError("LOG_UNAVAILABLE", `The topic ${deadLetterTopic} does not exist; create it.`);
    return partition % count;
  }

  #toRecord({ record, code, detail }: DeadLetter, partition: number, target: number): NewRecord {
    const { topic, clock } = this.options;
    return {
      partition: target,
      key: record.key,
      value: record.value,
      timestamp_ms: clock.wall_ms(),
      headers: [
        ...record.headers(),
        [DEAD_LETTER_HEADERS.reason, code],
        [DEAD_LETTER_HEADERS.detail, detail],
        [DEAD_LETTER_HEADERS.topic, topic],
        [DEAD_LETTER_HEADERS.partition, String(partition)],
        [DEAD_LETTER_HEADERS.offset, String(record.offset)],
      ],
    };
  }
}

/** The offset a dead letter had in its partition, −1 if it comes from another one. The last of equal headers counts: a redriven letter may carry older ones. */
function originOffset(record: LogRecord, topic: string, partition: number): number {
  const headers = new Map<string, Header[1]>(record.headers());
  const text = (name: string) => Buffer.from(headers.get(name) ?? []).toString();
  if (text(DEAD_LETTER_HEADERS.topic) !== topic || text(DEAD_LETTER_HEADERS.partition) !== String(partition)) return -1;
  const offset = Number(text(DEAD_LETTER_HEADERS.offset));
  return Number.isSafeInteger(offset) ? offset : -1;
}
