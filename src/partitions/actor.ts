import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { Batch, FetchResult, LogRecord, Watermarks } from "../log/log.ts";
import type { ActorState, DeadLetterReason, PartitionView } from "./projection.ts";
import { PositionWaiters } from "./position-waiters.ts";
import { checksum, type LastRecord, type PartitionStore } from "./store.ts";

export interface DeadLetter extends DeadLetterReason {
  readonly record: LogRecord;
}

export interface ActorEnvironment {
  readonly clock: Clock;
  /** Asked synchronously right before each transaction: whether this process may still act for the partition. */
  readonly isOwner: () => boolean;
  /** Appends the dead letters, each once, however often it is asked; rejects when `signal` aborts. Absent where poison is only skipped. */
  readonly deliverDeadLetters?: (partition: number, letters: readonly DeadLetter[], signal: AbortSignal) => Promise<void>;
  /** Told when somebody begins to wait for a position. */
  readonly awaited?: () => void;
  /** Something a person should read. */
  readonly warn: (partition: number, message: string) => void;
}

const STORE_RETRY_WAIT_MS = 1_000;

/**
 * Owns one partition: its store, its position, its queries. Records go in through `accept`, in order; `apply` folds them and commits
 * rows and offset in one transaction. Nothing is awaited between the ownership check and the commit.
 *
 * ```
 *            open()                 end reached
 *  created ─────────▶ catching-up ────────────▶ running ──close()──▶ draining ──▶ stopped
 *                          │  ◀──forgetEnd()──      │
 *                          └────── halt() ──────────┘──▶ halted ──close()──▶ stopped
 * ```
 */
export class PartitionActor<View> implements PartitionView<View> {
  #state: ActorState = "created";
  #store: PartitionStore<View> | undefined;
  #halted: AppError | undefined;
  #endOffset = 0;
  /** Where reading goes on: ahead of the store by what is accepted and not applied. */
  #readOffset = 0;
  /** Set until the log has been seen to hold the last record applied. */
  #unverified: LastRecord | undefined;
  #accepted: Batch | undefined;
  #applying: Promise<void> | undefined;
  #caughtUpAt: number | undefined;
  readonly #ending = new AbortController();
  readonly #waiters: PositionWaiters;

  constructor(
    readonly partition: number,
    private readonly environment: ActorEnvironment,
  ) {
    this.#waiters = new PositionWaiters(environment.clock, this.#ending.signal);
  }

  get state(): ActorState {
    return this.#state;
  }

  get nextOffset(): number {
    return this.#store?.nextOffset ?? 0;
  }

  get endOffset(): number {
    return Math.max(this.#endOffset, this.nextOffset);
  }

  get halted(): string | undefined {
    return this.#halted?.message;
  }

  get view(): View | undefined {
    return this.#store?.projection.view;
  }

  /** Synchronous, so that the position is known before anything is read. */
  open(store: PartitionStore<View>): void {
    this.#store = store;
    this.#unverified = store.last;
    this.#readOffset = store.last?.offset ?? this.nextOffset;
    this.#state = "catching-up";
  }

  /** What the partition holds now; the actor is running once it has applied everything before that end. */
  catchUpTo(watermarks: Watermarks): void {
    const { endOffset } = watermarks;
    // A log that ends where the last applied record should be would let the first fetch wait for ever. Later on, such an end is
    // that of a leader which does not know its own yet.
    if (this.#unverified && endOffset < this.nextOffset) return this.#outOfRange(watermarks);
    this.#caughtUpAt = endOffset;
    this.#endOffset = Math.max(this.#endOffset, endOffset);
    this.#noteProgress();
  }

  /** The end is not known any more: the actor is catching up until it has reached the one that `catchUpTo` names next. */
  forgetEnd(): void {
    if (this.#state !== "running" && this.#state !== "catching-up") return;
    this.#state = "catching-up";
    this.#caughtUpAt = undefined;
  }

  /** Where to read next; undefined while it takes no records. */
  get wanted(): number | undefined {
    const takes = (this.#state === "catching-up" || this.#state === "running") && !this.#applying;
    return takes ? this.#readOffset : undefined;
  }

  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  get hasAccepted(): boolean {
    return this.#accepted !== undefined && !this.#applying;
  }

  /** Takes what was read at `wanted`; anything else is dropped. */
  accept(result: FetchResult): void {
    if (this.wanted === undefined || this.#accepted) return;
    if ("unreadable" in result) {
      this.halt(
        new AppError(
          "LOG_UNAVAILABLE",
          `The records at offset ${this.#readOffset} cannot be decoded (${result.unreadable}). Nothing after them is applied. Repair or remove them in the topic, then restart.`,
        ),
      );
    } else if ("outOfRange" in result) {
      this.#outOfRange(result.outOfRange);
    } else if (result.batch.baseOffset === this.#readOffset) {
      this.#accepted = result.batch;
      this.#readOffset = result.batch.nextOffset;
      this.#endOffset = result.batch.endOffset;
    }
  }

  /** Applies what was accepted. Returns a promise only where it must wait: for dead letters to be appended, or for a store that fails. */
  apply(): Promise<void> | undefined {
    const batch = this.#accepted;
    if (!batch || this.#applying) return undefined;
    const letters = this.#fold(batch);
    if (letters === undefined) return undefined;
    if (letters.length === 0 && this.#commit(batch)) return undefined;
    const applying = this.#applySlowly(batch, letters).finally(() => {
      if (this.#applying === applying) this.#applying = undefined;
    });
    this.#applying = applying;
    return applying;
  }

  reached(offset: number, wait_ms_max: number): Promise<boolean> {
    if (this.nextOffset >= offset) return Promise.resolve(true);
    if (this.#ended()) return Promise.resolve(false);
    const waiting = this.#waiters.wait(offset, wait_ms_max);
    this.environment.awaited?.();
    return waiting;
  }

  halt(error: AppError): void {
    if (this.#ended()) return;
    this.#halted = error;
    this.#state = "halted";
    this.#accepted = undefined;
    this.#end();
    this.environment.warn(this.partition, `${error.code}: ${error.message}`);
  }

  /** Finishes the transaction under way, if any, and closes the store. */
  async close(): Promise<void> {
    if (this.#state === "stopped") return;
    this.#state = "draining";
    this.#end();
    this.#accepted = undefined;
    await this.#applying?.catch(() => undefined);
    this.#store?.close();
    this.#store = undefined;
    this.#state = "stopped";
  }

  #end(): void {
    this.#ending.abort();
    this.#waiters.end();
  }

  #ended(): boolean {
    return this.#state === "halted" || this.#state === "draining" || this.#state === "stopped";
  }

  #outOfRange({ startOffset, endOffset }: Watermarks): void {
    const store = this.#store;
    if (!store) return;
    if (store.nextOffset === undefined && this.#readOffset < startOffset) {
      this.environment.warn(
        this.partition,
        `The log begins at offset ${startOffset}; a new store starts there, without what was removed before.`,
      );
      this.#readOffset = startOffset;
      store.nextOffset = startOffset;
      this.#noteProgress();
    } else if (startOffset <= this.nextOffset && this.nextOffset <= endOffset) {
      // Only the last record applied is gone from the log, so it cannot be compared; nothing unread is missing.
      this.#unverified = undefined;
      this.#readOffset = this.nextOffset;
    } else {
      this.halt(
        new AppError(
          "OFFSET_OUT_OF_RANGE",
          `The store goes on at offset ${this.nextOffset}, but the log holds ${startOffset} to ${endOffset}: records were removed unread, or the topic was made anew. ` +
            `If the log is right, stop the service, move this partition's store file away and start again; it is rebuilt from the log's start.`,
        ),
      );
    }
  }

  /** Folds the batch in memory; undefined when the partition had to be halted. */
  #fold(batch: Batch): DeadLetter[] | undefined {
    const store = this.#store;
    if (!store) return undefined;
    const letters: DeadLetter[] = [];
    try {
      for (const record of batch.records) {
        if (record.offset < this.nextOffset) {
          if (this.#disagrees(record)) return undefined;
          continue;
        }
        const reason = store.projection.fold(record);
        if (reason && this.environment.deliverDeadLetters) letters.push({ ...reason, record });
      }
    } catch (e) {
      store.projection.reset();
      this.halt(
        new AppError(
          "FOLD_FAILED",
          `The fold threw between offsets ${batch.baseOffset} and ${batch.nextOffset}: ${String(e)}.`,
          {},
          e,
        ),
      );
      return undefined;
    }
    this.#unverified = undefined;
    return letters;
  }

  #disagrees(record: LogRecord): boolean {
    const last = this.#unverified;
    if (last?.offset !== record.offset || checksum(record) === last.checksum) return false;
    this.halt(
      new AppError(
        "LOG_DISAGREES",
        `At offset ${record.offset} the log holds another record than the one applied: the topic was made anew or restored differently. ` +
          `If the log is right, stop the service, move this partition's store file away and start again; it is rebuilt from the log's start.`,
      ),
    );
    return true;
  }

  async #applySlowly(batch: Batch, letters: readonly DeadLetter[]): Promise<void> {
    const { clock, deliverDeadLetters } = this.environment;
    if (letters.length > 0) {
      try {
        await deliverDeadLetters?.(this.partition, letters, this.#ending.signal);
      } catch (e) {
        this.#forget();
        if (!this.#ending.signal.aborted) throw e;
        return;
      }
    }
    // A failed commit has thrown the folded rows away, so they are folded again before the next try.
    let folded = letters.length > 0;
    while (!folded || !this.#commit(batch)) {
      await clock.sleep(STORE_RETRY_WAIT_MS, this.#ending.signal);
      if (this.#ending.signal.aborted || this.#fold(batch) === undefined) return;
      folded = true;
    }
  }

  /** True when there is nothing left to do for the batch: it is committed, or it is another owner's now. */
  #commit(batch: Batch): boolean {
    const store = this.#store;
    if (!store || this.#ended()) return true;
    if (!this.environment.isOwner()) {
      this.#forget();
      return true;
    }
    const record = batch.records.at(-1);
    const last = record && record.offset >= this.nextOffset ? { offset: record.offset, checksum: checksum(record) } : store.last;
    try {
      if (batch.nextOffset > this.nextOffset || store.nextOffset === undefined) store.commit(batch.nextOffset, last);
    } catch (e) {
      store.projection.reset();
      this.environment.warn(
        this.partition,
        `STORE_FAILED: ${String(e)}. The batch is tried again every ${STORE_RETRY_WAIT_MS} ms; make room or mend the disk.`,
      );
      return false;
    }
    this.#accepted = undefined;
    this.#noteProgress();
    return true;
  }

  #forget(): void {
    this.#store?.projection.reset();
    this.#accepted = undefined;
    this.#readOffset = this.#unverified?.offset ?? this.nextOffset;
  }

  #noteProgress(): void {
    if (this.#state === "catching-up" && this.#caughtUpAt !== undefined && this.nextOffset >= this.#caughtUpAt)
      this.#state = "running";
    this.#waiters.reached(this.nextOffset);
  }
}
