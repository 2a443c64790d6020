import type { Clock } from "../../system/clock.ts";
import { AppError, isAppError } from "../../errors.ts";
import { Backoff, type BackoffLimits } from "../../log/backoff.ts";
import type { Log, NewRecord, Producer } from "../../log/port.ts";
import { BATCH_HEAD_BYTES } from "../../log/append/record-size.ts";
import type { Random } from "../../system/random.ts";
import type { DeadLetter, DeliverDeadLetters } from "../actor/actor-environment.ts";
import { letterProducer } from "./letter-producer.ts";
import { fittingLetter, letterBytes, letterRecord } from "./letter-record.ts";
import { LetterSearch } from "./letter-search.ts";
import { LetterSize } from "./letter-size.ts";
import { ReplayedLetters } from "./replayed-letters.ts";

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

/** Some letters on their way into the topic. */
interface Delivery {
  readonly partition: number;
  readonly signal: AbortSignal;
  readonly letters: ReplayedLetters;
  /** How many of the letters that are left by then are known to be in the topic. */
  done: number;
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
 *  (none) ──open, read back──▶ delivering ──any failure──▶ (none), back off, again; what was read back is kept
 * ```
 */
export class DeadLetters {
  readonly #producers = new Map<number, Producer>();
  readonly #searches = new Map<number, LetterSearch>();
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
    const { clock, random, isOwner, log, topic } = this.options;
    const backoff = new Backoff(this.options.backoff, random);
    const replayed = new ReplayedLetters(log, topic, partition, letters);
    const delivery: Delivery = { partition, signal, letters: replayed, done: 0 };
    for (let before = this.#progressOf(delivery); ;) {
      requireTerm(signal);
      if (!isOwner()) throw new AppError("PRODUCER_FENCED", "The partition has another owner.");
      try {
        await this.#deliver(delivery);
        return;
      } catch (e) {
        await this.#drop(partition);
        if (isAppError(e, "LOG_DISAGREES")) delivery.done = 0;
        onFailed(e);
        const progress = this.#progressOf(delivery);
        if (progress > before) backoff.reset();
        before = progress;
        await clock.sleep(backoff.next_ms(), signal);
      }
    }
  };

  /**
   * Forgets which letters are in the topic. They are read back, since the partition's records are about to be applied
   * again.
   */
  forget(partition: number): void {
    this.#searches.delete(partition);
    void this.#drop(partition);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#producers.keys()].map((partition) => this.#drop(partition)));
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { topic, clock } = this.options;
    const { partition, signal } = delivery;
    const producer = this.#producers.get(partition) ?? (await this.#open(partition));
    const search = this.#searchOf(partition);
    await this.#size.lookIfDue();
    const target = await this.#targetPartition(partition);
    const letters = await delivery.letters.leaveOut();
    let pending: Pending[] = [];
    let bytes = BATCH_HEAD_BYTES;
    /** Appends what is pending. The first `done` letters are in the topic then. */
    const flush = async (done: number) => {
      const gathered = pending;
      pending = [];
      bytes = BATCH_HEAD_BYTES;
      // The partition may have another owner since this was begun.
      requireTerm(signal);
      if (gathered.length > 0) await this.#append(partition, producer, gathered);
      delivery.done = done;
    };
    for (const [n, letter] of letters.entries()) {
      if (n < delivery.done) continue;
      if (!search.covers(letter.record.offset)) {
        await flush(n);
        await search.find(letter.record.offset, signal);
      }
      if (search.has(letter.record)) continue;
      const next = this.#fitting(letter, letterRecord(letter, { topic, partition, target, wall_ms: clock.wall_ms() }));
      if (bytes + next.bytes > this.#size.append_bytes_max) await flush(n);
      pending.push(next);
      bytes += next.bytes;
    }
    await flush(letters.length);
  }

  /** Grows with everything that need not be done again after a failure. */
  #progressOf({ partition, letters, done }: Delivery): number {
    return letters.progress + done + this.#searchOf(partition).progress;
  }

  /**
   * Halves a batch that is too large until only a letter that is too large by itself is left, and cuts that letter.
   */
  async #append(partition: number, producer: Producer, pending: readonly Pending[]): Promise<void> {
    let offsets: number[];
    try {
      offsets = await producer.append(
        this.options.deadLetterTopic,
        pending.map(({ record }) => record),
      );
    } catch (e) {
      if (!isAppError(e, "EVENT_TOO_LARGE")) throw e;
      await this.#appendSmaller(partition, producer, pending, e);
      return;
    }
    const appended = pending.map(({ letter, record }) => ({ record: letter.record, letter: record }));
    this.#searchOf(partition).noteAppended(pending.at(-1)?.record.partition ?? 0, appended, offsets.at(-1) ?? 0);
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

  async #appendSmaller(partition: number, producer: Producer, pending: readonly Pending[], refused: AppError): Promise<void> {
    const half_bytes = Math.floor(pending.reduce((sum, { bytes }) => sum + bytes, BATCH_HEAD_BYTES) / 2);
    if (pending.length > 1) {
      this.#size.append_bytes_max = Math.min(this.#size.append_bytes_max, half_bytes);
      const half = pending.length >> 1;
      await this.#append(partition, producer, pending.slice(0, half));
      await this.#append(partition, producer, pending.slice(half));
      return;
    }
    const smaller = pending.map(({ letter, whole }) => this.#fitting(letter, whole, half_bytes));
    // The letter cannot become smaller, as only its own headers are left, and even that is refused.
    if (smaller.some(({ bytes }, index) => bytes >= (pending[index]?.bytes ?? 0))) throw refused;
    this.#size.letter_bytes_max = Math.min(this.#size.letter_bytes_max, half_bytes);
    await this.#append(partition, producer, smaller);
  }

  #fitting(letter: DeadLetter, whole: NewRecord, letter_bytes_max = this.#size.letter_bytes_max): Pending {
    const record = fittingLetter(whole, letter_bytes_max - BATCH_HEAD_BYTES);
    return { letter, whole, record, bytes: letterBytes(record) };
  }

  async #open(partition: number): Promise<Producer> {
    const { log, deadLetterTopic } = this.options;
    await this.#size.look();
    const producer = await letterProducer(log, deadLetterTopic, partition);
    this.#producers.set(partition, producer);
    return producer;
  }

  async #drop(partition: number): Promise<void> {
    const producer = this.#producers.get(partition);
    this.#producers.delete(partition);
    this.#searches.get(partition)?.doubt();
    await producer?.close().catch(() => undefined);
  }

  #searchOf(partition: number): LetterSearch {
    const search = this.#searches.get(partition) ?? new LetterSearch({ ...this.options, partition });
    this.#searches.set(partition, search);
    return search;
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

/** Throws once the partition is given up. */
function requireTerm(term: AbortSignal): void {
  if (term.aborted) throw new AppError("SHUTTING_DOWN", "The partition is being given up.");
}
