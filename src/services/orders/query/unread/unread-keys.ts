import { AppError } from "../../../../errors.ts";
import type { LogRecord } from "../../../../log/port.ts";
import { isSameRecord, type LastRecord, lastOffsetOf, lastRecordOf } from "../../../../runtime/store/position/last-record.ts";

/** A partition's end, with what tells whether it is still the one that was read before. */
export interface ToldEnd {
  /** Undefined if the log has no topic ids. */
  readonly topicId: string | undefined;
  readonly leaderEpoch: number;
  readonly endOffset: number;
}

/** How many more keys may be kept. All partitions share it. */
export interface Room {
  left: number;
}

/** A key as it is kept. Another key with the same number can only have an order doubted that does not exist. */
export const keyNumber = (key: string | Uint8Array): number => Number(BigInt.asUintN(53, Bun.hash(key)));

/**
 * What was read of a partition's unread records: their keys, each with the last offset where it was seen. Each read
 * begins with the last record of the one before, which must still be the same (decision 19): not every log has topic
 * ids and leader epochs.
 *
 * ```
 *  [from, reached) ──begin()──▶ reading ──note() each record, end()──▶ [from, further)
 *                                  └── a record is another one, or missing ──▶ rejects; all of it is to be dropped
 * ```
 */
export class UnreadKeys {
  /** In the order of the offsets. */
  readonly #lastOffsets = new Map<number, number>();
  #reached: number;
  #last: LastRecord | undefined;
  /** What the read that is under way has still to find again. */
  #missing: LastRecord | undefined;
  #newest: LogRecord | undefined;
  #isFull = false;

  constructor(
    private readonly told: ToldEnd,
    private from: number,
    private readonly room: Room,
  ) {
    this.#reached = from;
  }

  get size(): number {
    return this.#lastOffsets.size;
  }

  /** Whether these are keys of the log that has this end, and what was read includes something that is still unread. */
  isPartOf({ topicId, leaderEpoch, endOffset }: ToldEnd, nextOffset: number): boolean {
    const isSameLog = topicId === this.told.topicId && leaderEpoch === this.told.leaderEpoch && endOffset >= this.#reached;
    return isSameLog && nextOffset >= this.from && nextOffset < this.#reached;
  }

  /** Whether everything before that end was read, of a log whose topic and leader are known to be the same. */
  isUpTo({ topicId, leaderEpoch, endOffset }: ToldEnd): boolean {
    const isKnown = topicId !== undefined && topicId === this.told.topicId && leaderEpoch === this.told.leaderEpoch;
    return isKnown && endOffset === this.#reached;
  }

  /** Forgets the keys that were seen last before `nextOffset`, as what has them is applied. */
  forgetApplied(nextOffset: number): void {
    this.from = nextOffset;
    for (const [key, offset] of this.#lastOffsets) {
      if (offset >= nextOffset) return;
      this.#lastOffsets.delete(key);
      this.room.left++;
    }
  }

  /** Begins a read; returns the offset that it begins at. */
  begin(): number {
    this.#missing = this.#last;
    this.#isFull = false;
    return this.#last?.offset ?? this.from;
  }

  /** Returns false if there is no room for the record's key. Throws LOG_UNAVAILABLE if the log is another one. */
  note(record: LogRecord): boolean {
    if (this.#missing !== undefined) {
      if (!isSameRecord(this.#missing, record)) throw changed();
      this.#missing = undefined;
      return true;
    }
    if (record.key !== null) {
      const key = keyNumber(record.key);
      if (!this.#lastOffsets.delete(key)) {
        this.#isFull = this.room.left === 0;
        if (this.#isFull) return false;
        this.room.left--;
      }
      this.#lastOffsets.set(key, record.offset);
    }
    this.#newest = record;
    this.#reached = lastOffsetOf(record) + 1;
    return true;
  }

  /** Ends the read, after which everything before `offset` was noted unless there was no room. Throws like `note`. */
  end(offset: number): void {
    if (this.#missing !== undefined) throw changed();
    if (!this.#isFull) this.#reached = Math.max(this.#reached, offset);
    if (this.#newest !== undefined) this.#last = lastRecordOf(this.#newest);
    this.#newest = undefined;
  }

  /** Whether [nextOffset, endOffset) was read to its end and has no record with the key. */
  lacks(key: number, nextOffset: number, endOffset: number): boolean {
    const isRead = this.from <= nextOffset && nextOffset <= endOffset && endOffset <= this.#reached;
    return isRead && (this.#lastOffsets.get(key) ?? -1) < nextOffset;
  }
}

const changed = (): AppError => new AppError("LOG_UNAVAILABLE", "The log may have changed since it was read; ask again.");
