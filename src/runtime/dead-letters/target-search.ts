import { AppError } from "../../errors.ts";
import type { LogRecord, NewRecord, PartitionEnds, Watermarks } from "../../log/port.ts";
import { PlaceReader } from "../read/place-reader.ts";
import { isSameRecord, type LastRecord, lastRecordOf, recordChecksum } from "../store/position/last-record.ts";
import { type Claim, claimOf, type DeliveredLetters, isOf } from "./delivered-letters.ts";
import type { LetterSearchOptions } from "./letter-search.ts";

/** A search begins with this many records at the end, and goes back in ever larger steps. */
const STEP_RECORDS_MIN = 1_000;
const STEP_RECORDS_MAX = 64_000;
/**
 * At most this many letters are checked to find a genuine one that ends the search. Whoever forges more makes the
 * search longer, and achieves nothing else.
 */
const PROOFS_MAX = 100;

/** The records of one step are read forwards. */
interface Step {
  readonly from: number;
  /** The next offset to read. */
  at: number;
  /** Letters of records before those that are searched for. */
  readonly earlier: Claim[];
}

/**
 * Reads one partition of the dead-letter topic backwards, until a letter of an earlier record ends the search. Where
 * it fails, the next call goes on with the next record.
 *
 * ```
 *  unread ──read()──▶ reading back in steps ──an earlier letter, or the start──▶ over ──read(): what was added──▶ over
 * ```
 */
export class TargetSearch {
  /** What is known: [low, high), and of the step before that as much as it says. */
  #range: { low: number; high: number } | undefined;
  #step: Step | undefined;
  #stepRecords = STEP_RECORDS_MIN;
  /**
   * The record with the highest offset that was read or appended: while it is there, so is what lies before it
   * (KIP-101).
   */
  #newest: { readonly offset: number; readonly record: LastRecord } | undefined;
  #isFound = false;

  constructor(
    readonly target: number,
    private readonly options: LetterSearchOptions,
    private readonly from: number,
    private readonly delivered: DeliveredLetters,
    private readonly proof: Proof,
    private readonly onPiece: () => void,
  ) {}

  /**
   * Whether the partition still has what was read of it. What lay behind the newest record, where there was none, is to
   * be read again. Rejects with LOG_UNAVAILABLE if nothing can be told now.
   */
  async isStill(ends: PartitionEnds | undefined): Promise<boolean> {
    if (this.#range === undefined) return true;
    if (this.#newest === undefined) {
      [this.#range, this.#step] = [undefined, undefined];
      return true;
    }
    const { offset, record } = this.#newest;
    if (this.#readable(ends).endOffset <= offset) return false;
    const letters = this.#reader();
    try {
      const found = await letters.at(offset);
      if (found === undefined || !isSameRecord(record, found)) return false;
    } finally {
      await letters.close();
    }
    if (offset >= this.#range.low) this.#range.high = offset + 1;
    else if (this.#step) this.#step.at = Math.min(this.#step.at, offset + 1);
    return true;
  }

  /** Resolves with true if a letter of an earlier record ended the search. */
  async read(ends: PartitionEnds | undefined, source: PlaceReader, signal: AbortSignal): Promise<boolean> {
    const { startOffset, endOffset } = this.#readable(ends);
    const letters = this.#reader();
    try {
      const range = (this.#range ??= { low: endOffset, high: endOffset });
      while (range.high < endOffset) {
        const piece = await this.#piece(letters, range.high, signal);
        for (const record of piece.records) this.#note(record);
        range.high = piece.nextOffset;
      }
      while (!this.#isFound && range.low > startOffset) await this.#stepBack(range, startOffset, letters, source, signal);
      return this.#isFound;
    } finally {
      await letters.close();
    }
  }

  /** Notes that letters were appended, the last of them at that offset. */
  noteAppended(offset: number, { key, value }: NewRecord): void {
    if (this.#range === undefined) return;
    this.#range.high = offset + 1;
    this.#newest = { offset, record: { offset, checksum: recordChecksum(key, value), leaderEpoch: undefined } };
  }

  async #stepBack(
    range: { low: number },
    startOffset: number,
    letters: PlaceReader,
    source: PlaceReader,
    signal: AbortSignal,
  ): Promise<void> {
    const from = Math.max(startOffset, range.low - this.#stepRecords);
    const step = (this.#step ??= { from, at: from, earlier: [] });
    // Records that were deleted meanwhile are no letters any more.
    step.at = Math.max(step.at, startOffset);
    while (step.at < range.low) {
      const piece = await this.#piece(letters, step.at, signal);
      for (const record of piece.records) if (record.offset < range.low) this.#note(record, step.earlier);
      step.at = piece.nextOffset;
    }
    this.#isFound = await this.proof.isAnyGenuine(step.earlier, source);
    range.low = step.from;
    this.#step = undefined;
    this.#stepRecords = Math.min(this.#stepRecords * 4, STEP_RECORDS_MAX);
  }

  async #piece(letters: PlaceReader, offset: number, signal: AbortSignal) {
    if (signal.aborted) throw new AppError("SHUTTING_DOWN", "The partition is being given up.");
    const piece = await letters.from(offset);
    if (!piece) throw this.#unavailable(`it does not have offset ${offset} any more`);
    this.onPiece();
    return piece;
  }

  #note(record: LogRecord, earlier?: Claim[]): void {
    if (record.offset > (this.#newest?.offset ?? -1)) this.#newest = { offset: record.offset, record: lastRecordOf(record) };
    const claim = claimOf(record, this.options.topic, this.options.partition);
    if (claim && claim.offset >= this.from) this.delivered.noteRead(claim);
    else if (claim && earlier && earlier.push(claim) > PROOFS_MAX) earlier.shift();
  }

  #reader(): PlaceReader {
    return new PlaceReader(this.options.log, this.options.deadLetterTopic, this.target);
  }

  #readable(ends: PartitionEnds | undefined): Watermarks {
    if (!ends || "unavailable" in ends) throw this.#unavailable(ends?.unavailable ?? "the log does not tell its end");
    return ends;
  }

  #unavailable(why: string): AppError {
    return new AppError("LOG_UNAVAILABLE", `${this.options.deadLetterTopic}-${this.target} cannot be read back: ${why}`);
  }
}

/** Tells genuine letters of earlier records from those that somebody else wrote. */
export class Proof {
  #left = PROOFS_MAX;

  /** Looks at the newest first, and takes away what it has looked at. */
  async isAnyGenuine(claims: Claim[], source: PlaceReader): Promise<boolean> {
    for (let claim = claims.at(-1); claim && this.#left > 0; claim = claims.at(-1)) {
      const record = await source.at(claim.offset);
      this.#left--;
      claims.pop();
      if (record && isOf(claim, record)) return true;
    }
    return false;
  }
}
