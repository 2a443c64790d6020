import type { Clock } from "../../system/clock.ts";
import { AppError, isAppError } from "../../errors.ts";
import { Backoff, type BackoffLimits } from "../../log/backoff.ts";
import type { Log, NewRecord, Producer } from "../../log/port.ts";
import { REPLAY_HEADERS } from "../../log/record-headers.ts";
import { BATCH_HEAD_BYTES } from "../../log/append/record-size.ts";
import type { Random } from "../../system/random.ts";
import type { DeadLetter, DeliverDeadLetters } from "../actor/actor-environment.ts";
import { claimFor, DeliveredLetters } from "./delivered-letters.ts";
import { letterProducer } from "./letter-producer.ts";
import { fittingLetter, letterBytes, letterRecord } from "./letter-record.ts";
import { searchLetters } from "./letter-search.ts";
import { LetterSize } from "./letter-size.ts";
import { PlaceReader } from "../read/place-reader.ts";

/** How often people are told that letters were cut. */
const TELL_AGAIN_MS = 60_000;

export interface DeadLetterOptions {
  readonly log: Log;
  /** The topic the letters come from. */
  readonly topic: string;
  readonly deadLetterTopic: string;
  readonly isOwner: () => boolean;
  /** Creates the dead-letter topic if it is missing. */
  readonly createTopic?: () => Promise<unknown>;
  readonly backoff: BackoffLimits;
  readonly clock: Clock;
  readonly random: Random;
  /** Called with the letters that were just appended, and with how many of them were cut to fit. */
  readonly onAppended?: ((partition: number, letters: readonly DeadLetter[], cut: number) => void) | undefined;
  /** Called with a message that a person should read. */
  readonly onWarning?: ((partition: number, message: string) => void) | undefined;
}

interface Open {
  readonly producer: Producer;
  readonly delivered: DeliveredLetters;
}

interface Pending {
  readonly letter: DeadLetter;
  /** The letter with all that its record has. */
  readonly whole: NewRecord;
  /** As much of `whole` as fits. */
  readonly record: NewRecord;
  readonly bytes: number;
}

/**
 * Appends each dead letter once, even if a process crashes, records are delivered again or a store is rebuilt.
 *
 * Letters of one partition are appended in offset order by one producer, which fences every earlier one. After
 * opening, the letters in the topic are read back as far as they may matter, and only those that are missing are
 * appended. A letter is appended before the offset after its record is committed. See
 * docs/decisions/0003-dead-letters-once.md.
 *
 * ```
 *  (none) ──open, read back──▶ delivering ──any failure──▶ (none), back off, again
 * ```
 */
export class DeadLetters {
  readonly #partitions = new Map<number, Open>();
  readonly #size: LetterSize;
  /** When people were last told that letters of a partition were cut, and how many were cut since. */
  readonly #cuts = new Map<number, { toldAt_ms: number; untold: number }>();

  constructor(private readonly options: DeadLetterOptions) {
    this.#size = new LetterSize(options);
  }

  /**
   * Resolves once all letters (in ascending order of offset) are in the topic. Rejects only if `signal` aborts or the
   * partition has another owner.
   */
  readonly deliver: DeliverDeadLetters = async (partition, letters, signal, onFailed) => {
    const { clock, random, isOwner } = this.options;
    const backoff = new Backoff(this.options.backoff, random);
    for (;;) {
      if (signal.aborted) throw new AppError("SHUTTING_DOWN", "The partition is being given up.");
      if (!isOwner()) throw new AppError("PRODUCER_FENCED", "The partition has another owner.");
      try {
        await this.#deliver(partition, letters);
        return;
      } catch (e) {
        await this.#drop(partition);
        onFailed(e);
        await clock.sleep(backoff.next_ms(), signal);
      }
    }
  };

  /**
   * Forgets which letters are in the topic. They are read back, since the partition's records are about to be applied
   * again.
   */
  forget(partition: number): void {
    void this.#drop(partition);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#partitions.keys()].map((partition) => this.#drop(partition)));
  }

  async #deliver(partition: number, letters: readonly DeadLetter[]): Promise<void> {
    const { topic, clock } = this.options;
    const open = this.#partitions.get(partition) ?? (await this.#open(partition));
    await this.#size.lookIfDue();
    const target = await this.#targetPartition(partition);
    let pending: Pending[] = [];
    let bytes = BATCH_HEAD_BYTES;
    const flush = async () => {
      const gathered = pending;
      pending = [];
      bytes = BATCH_HEAD_BYTES;
      if (gathered.length > 0) await this.#append(partition, open, gathered);
    };
    for (const letter of await this.#withoutReplays(partition, letters)) {
      if (!open.delivered.covers(letter.record.offset)) {
        await flush();
        await searchLetters({ ...this.options, partition }, letter.record.offset, open.delivered);
      }
      if (open.delivered.has(letter.record)) continue;
      const next = this.#fitting(letter, letterRecord(letter, { topic, partition, target, wall_ms: clock.wall_ms() }));
      if (bytes + next.bytes > this.#size.append_bytes_max) await flush();
      pending.push(next);
      bytes += next.bytes;
    }
    await flush();
  }

  /**
   * Halves a batch that is too large until only a letter that is too large by itself is left, and cuts that letter.
   */
  async #append(partition: number, open: Open, pending: readonly Pending[]): Promise<void> {
    try {
      await open.producer.append(
        this.options.deadLetterTopic,
        pending.map(({ record }) => record),
      );
    } catch (e) {
      if (!isAppError(e, "EVENT_TOO_LARGE")) throw e;
      await this.#appendSmaller(partition, open, pending, e);
      return;
    }
    for (const { letter, record } of pending) open.delivered.noteAppended(claimFor(letter.record, record));
    const cut = pending.filter(({ whole, record }) => record !== whole);
    this.options.onAppended?.(
      partition,
      pending.map(({ letter }) => letter),
      cut.length,
    );
    const last = cut.at(-1);
    if (last) this.#tellOfCut(partition, cut.length, last.letter.record.offset);
  }

  #tellOfCut(partition: number, letters: number, offset: number): void {
    const { clock, topic, deadLetterTopic, onWarning } = this.options;
    const { toldAt_ms, untold } = this.#cuts.get(partition) ?? { toldAt_ms: Number.NEGATIVE_INFINITY, untold: 0 };
    const now_ms = clock.now_ms();
    const count = untold + letters;
    if (now_ms - toldAt_ms < TELL_AGAIN_MS) return void this.#cuts.set(partition, { toldAt_ms, untold: count });
    this.#cuts.set(partition, { toldAt_ms: now_ms, untold: 0 });
    const were = count === 1 ? "1 letter was" : `${count} letters were`;
    onWarning?.(
      partition,
      `${were} cut to fit into ${deadLetterTopic}, the last at offset ${offset} of ${topic}, which alone has the whole record. Such a letter cannot be redriven; raise max.message.bytes of ${deadLetterTopic}.`,
    );
  }

  async #appendSmaller(partition: number, open: Open, pending: readonly Pending[], refused: AppError): Promise<void> {
    const half_bytes = Math.floor(pending.reduce((sum, { bytes }) => sum + bytes, BATCH_HEAD_BYTES) / 2);
    if (pending.length > 1) {
      this.#size.append_bytes_max = Math.min(this.#size.append_bytes_max, half_bytes);
      const half = pending.length >> 1;
      await this.#append(partition, open, pending.slice(0, half));
      await this.#append(partition, open, pending.slice(half));
      return;
    }
    const smaller = pending.map(({ letter, whole }) => this.#fitting(letter, whole, half_bytes));
    // The letter cannot become smaller, as only its own headers are left, and even that is refused.
    if (smaller.some(({ bytes }, index) => bytes >= (pending[index]?.bytes ?? 0))) throw refused;
    this.#size.letter_bytes_max = Math.min(this.#size.letter_bytes_max, half_bytes);
    await this.#append(partition, open, smaller);
  }

  #fitting(letter: DeadLetter, whole: NewRecord, letter_bytes_max = this.#size.letter_bytes_max): Pending {
    const record = fittingLetter(whole, letter_bytes_max - BATCH_HEAD_BYTES);
    return { letter, whole, record, bytes: letterBytes(record) };
  }

  /**
   * Leaves out the copies that a replay wrote into the topic they come from. Such a copy is the same poison as its
   * original, which lies before it and already has a letter.
   */
  async #withoutReplays(partition: number, letters: readonly DeadLetter[]): Promise<readonly DeadLetter[]> {
    const { log, topic } = this.options;
    const origins = letters.map((letter) => replayedFrom(letter, topic, partition));
    if (origins.every((origin) => origin === undefined)) return letters;
    const source = new PlaceReader(log, topic, partition);
    try {
      const kept: DeadLetter[] = [];
      for (const [index, letter] of letters.entries()) {
        const origin = origins[index];
        const before = origin === undefined ? undefined : await source.at(origin);
        if (!before || before.undecodable || !isSame(before, letter.record)) kept.push(letter);
      }
      return kept;
    } finally {
      await source.close();
    }
  }

  async #open(partition: number): Promise<Open> {
    const { log, deadLetterTopic } = this.options;
    await this.#size.look();
    const producer = await letterProducer(log, deadLetterTopic, partition);
    const open = { producer, delivered: new DeliveredLetters() };
    this.#partitions.set(partition, open);
    return open;
  }

  async #drop(partition: number): Promise<void> {
    const open = this.#partitions.get(partition);
    this.#partitions.delete(partition);
    await open?.producer.close().catch(() => undefined);
  }

  async #targetPartition(partition: number): Promise<number> {
    const { log, deadLetterTopic, createTopic } = this.options;
    let count = await log.partitionCount(deadLetterTopic);
    if (count === 0 && createTopic) {
      await createTopic();
      count = await log.partitionCount(deadLetterTopic);
    }
    if (count === 0) throw new AppError("LOG_UNAVAILABLE", `The topic ${deadLetterTopic} does not exist; create it.`);
    return partition % count;
  }
}

/** The offset of the record that a replay copied, as its headers say, if that lies earlier in the same partition. */
function replayedFrom({ record }: DeadLetter, topic: string, partition: number): number | undefined {
  const headers = new Map(record.headers());
  const text = (name: string) => Buffer.from(headers.get(name) ?? []).toString();
  if (!headers.has(REPLAY_HEADERS.id) || text(REPLAY_HEADERS.topic) !== topic) return undefined;
  const offset = text(REPLAY_HEADERS.offset);
  if (text(REPLAY_HEADERS.partition) !== String(partition) || !/^[0-9]{1,15}$/.test(offset)) return undefined;
  return Number(offset) < record.offset ? Number(offset) : undefined;
}

type Bytes = Buffer | null;
const isEqual = (a: Bytes, b: Bytes): boolean => (a === null || b === null ? a === b : a.equals(b));

const isSame = (a: { key: Bytes; value: Bytes }, b: { key: Bytes; value: Bytes }): boolean =>
  isEqual(a.key, b.key) && isEqual(a.value, b.value);
