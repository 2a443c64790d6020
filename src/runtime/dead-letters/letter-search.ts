import { AppError } from "../../errors.ts";
import type { Log, LogRecord, NewRecord, TopicEnds } from "../../log/port.ts";
import { PlaceReader } from "../read/place-reader.ts";
import { claimFor, DeliveredLetters } from "./delivered-letters.ts";
import { Proof, TargetSearch } from "./target-search.ts";

export interface LetterSearchOptions {
  readonly log: Log;
  readonly topic: string;
  readonly deadLetterTopic: string;
  readonly partition: number;
}

export interface AppendedLetter {
  /** What the letter is for. */
  readonly record: LogRecord;
  readonly letter: NewRecord;
}

/**
 * Finds all letters of the partition for offsets from some offset on. Letters are appended in the order of their
 * offsets, so the topic is read backwards from its end until a letter of an earlier record is found. Only a letter
 * that carries its record's bytes counts, since anybody may write into the topic (decision 3).
 *
 * Letters of partition p go to the dead-letter partition p modulo the number of dead-letter partitions. As that number
 * grows, letters of one partition may be in several. All letters written after one that is in dead-letter partition p
 * are there, too.
 *
 * What was found stays found when the log fails, or else a topic that takes longer to read than a connection lasts
 * could never be read.
 *
 * ```
 *  empty ──find()──▶ searching ──all that matters is read──▶ sure ──find(): not covered──▶ empty
 *    ▲                │     ▲                                  │
 *    │         the log fails└── find(): the topic still ──┐  doubt()
 *    │                │           has what was read       │    │
 *    │                └────────────────────────────────▶ in doubt
 *    └───── find(): it has not, and this rejects ─────────┘
 * ```
 */
export class LetterSearch {
  readonly #delivered = new DeliveredLetters();
  #targets: readonly TargetSearch[] = [];
  #topicId: string | undefined;
  #partitions = 0;
  #isSure = false;
  #pieces = 0;

  constructor(private readonly options: LetterSearchOptions) {}

  /** How much was read so far: it grows with everything that need not be read again. */
  get progress(): number {
    return this.#pieces;
  }

  /** Whether all letters for the offset are found. */
  covers(offset: number): boolean {
    return this.#isSure && this.#delivered.covers(offset);
  }

  has(record: LogRecord): boolean {
    return this.#delivered.has(record);
  }

  /** Notes letters that were appended to that dead-letter partition, the last of them at that offset. */
  noteAppended(target: number, letters: readonly AppendedLetter[], lastOffset: number): void {
    for (const { record, letter } of letters) this.#delivered.noteAppended(claimFor(record, letter));
    const last = letters.at(-1)?.letter;
    if (last) this.#targets.find((search) => search.target === target)?.noteAppended(lastOffset, last);
  }

  /** Until the next `find`, somebody else may append, or the topic may become another. */
  doubt(): void {
    this.#isSure = false;
  }

  /**
   * Finds the letters from this offset on. Rejects if the topic cannot be read now; the next call then goes on from
   * there. Rejects with LOG_DISAGREES if the topic has not kept what was found; the next call then begins anew.
   */
  async find(offset: number, signal: AbortSignal): Promise<void> {
    const { log, deadLetterTopic, topic, partition } = this.options;
    const ends = await log.ends(deadLetterTopic);
    if (ends.partitions.length === 0)
      throw new AppError("LOG_UNAVAILABLE", `The topic ${deadLetterTopic} does not exist; create it.`);
    if (this.#isSure || !this.#delivered.covers(offset)) this.#begin(offset, ends);
    else await this.#requireSame(ends);
    const source = new PlaceReader(log, topic, partition);
    try {
      for (const search of this.#targets) {
        const isFound = await search.read(ends.partitions[search.target], source, signal);
        if (isFound && search.target === partition) break;
      }
      this.#isSure = true;
    } finally {
      await source.close();
    }
  }

  #begin(from: number, { topicId, partitions }: TopicEnds): void {
    this.#isSure = false;
    this.#topicId = topicId;
    this.#partitions = partitions.length;
    this.#delivered.begin(from);
    const proof = new Proof();
    this.#targets = targetsOf(this.options.partition, partitions.length).map(
      (target) => new TargetSearch(target, this.options, from, this.#delivered, proof, () => this.#pieces++),
    );
  }

  async #requireSame({ topicId, partitions }: TopicEnds): Promise<void> {
    let isSame = topicId === this.#topicId && partitions.length === this.#partitions;
    for (const search of this.#targets) isSame &&= await search.isStill(partitions[search.target]);
    if (isSame) return;
    this.#delivered.clear();
    const { deadLetterTopic } = this.options;
    throw new AppError("LOG_DISAGREES", `${deadLetterTopic} changed while it was read back, so that is begun anew.`);
  }
}

/** The dead-letter partitions that may have letters of the partition, the newest first. */
export function targetsOf(partition: number, count: number): number[] {
  const targets = new Set<number>();
  for (let n = count; n > 0; n--) targets.add(partition % n);
  return [...targets];
}
