import type { AppError } from "../errors.ts";
import type { Batch, FetchResult, LogRecord, Watermarks } from "../log/log.ts";
import type { ActorEnvironment, DeadLetter } from "./actor-environment.ts";
import * as errors from "./actor-errors.ts";
import { Outage } from "./outage.ts";
import type { ActorState, PartitionView } from "./projection.ts";
import { PositionWaiters } from "./position-waiters.ts";
import { checksum, isDamage, isStoreFailure, type LastRecord, type PartitionStore } from "./store.ts";

/** How long to wait before a store that failed is tried again. */
export const STORE_RETRY_WAIT_MS = 1_000;

/**
 * Owns one partition: its store, its position, its queries. Records go in through `accept`, in order; `apply` folds them and commits
 * rows and offset in one transaction. Nothing is awaited between the ownership check and the commit.
 *
 * ```
 *            open()                 end reached
 *  created ─────────▶ catching-up ────────────▶ running ──close()──▶ draining ──▶ stopped
 *                        │ ▲  ◀──forgetEnd()──      │
 *                        │ └──the store works again─│──┐
 *                        └──halt(), the store fails─┴──▶ halted ──close()──▶ stopped
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
  readonly #storeOutage: Outage;

  constructor(
    readonly partition: number,
    private readonly environment: ActorEnvironment,
  ) {
    const { clock, warn } = environment;
    this.#waiters = new PositionWaiters(clock, this.#ending.signal);
    this.#storeOutage = new Outage("STORE_FAILED: Its store", clock, (message) => warn(partition, message));
  }

  /** A store that fails halts the partition for as long as it does. */
  get state(): ActorState {
    return this.isSuspended ? "halted" : this.#state;
  }

  get isSuspended(): boolean {
    return this.#storeOutage.isUnderWay && !this.#ended();
  }

  get nextOffset(): number {
    return this.#store?.nextOffset ?? 0;
  }

  get endOffset(): number {
    return Math.max(this.#endOffset, this.nextOffset);
  }

  get halted(): string | undefined {
    return this.#halted?.message ?? this.#storeOutage.lasting(0);
  }

  get view(): View | undefined {
    return this.#store?.projection.view;
  }

  get digest(): string | undefined {
    return this.#store?.projection.digest;
  }

  /** The store could not be opened or written, and is tried again. */
  storeFailed(e: unknown): void {
    if (this.#storeOutage.failed(errors.storeAdvice(e))) this.environment.meter?.storeFailed(this.partition);
  }

  /** Synchronous, so that the position is known before anything is read. */
  open(store: PartitionStore<View>): void {
    this.#storeOutage.worked();
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

  /** How many records lie before the end that it has to reach; 0 once it is running. */
  get behind(): number {
    return this.#state === "catching-up" ? Math.max(0, (this.#caughtUpAt ?? 0) - this.nextOffset) : 0;
  }

  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  get accepted(): Batch | undefined {
    return this.#applying ? undefined : this.#accepted;
  }

  /** Takes what was read at `wanted`; anything else is dropped. */
  accept(result: FetchResult): void {
    if (this.wanted === undefined || this.#accepted) return;
    if ("unreadable" in result) {
      this.halt(errors.unreadable(this.#readOffset, result.unreadable));
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
    let letters = this.#fold(batch);
    if (this.#ended()) return undefined;
    if (letters?.length === 0) {
      if (this.#commit(batch)) return undefined;
      letters = undefined;
    }
    const applying = this.#applySlowly(batch, letters).finally(() => {
      if (this.#applying === applying) this.#applying = undefined;
    });
    this.#applying = applying;
    return applying;
  }

  reached(offset: number, wait_ms_max: number): Promise<boolean> {
    if (this.nextOffset >= offset || this.#ended()) return Promise.resolve(this.nextOffset >= offset);
    const waiting = this.#waiters.wait(offset, wait_ms_max);
    this.environment.awaited?.();
    return waiting;
  }

  failed(e: unknown): AppError {
    if (!isDamage(e)) return errors.storeFailed(this.partition, e);
    this.#damaged(e.message);
    return errors.storeRebuilt(this.partition, e);
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

  #outOfRange(watermarks: Watermarks): void {
    const { startOffset, endOffset } = watermarks;
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
      this.halt(errors.outOfRange(this.nextOffset, watermarks));
    }
  }

  /** Folds the batch in memory; undefined where the partition had to be halted, or the store failed and the batch is to be folded again. */
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
      if (isDamage(e)) this.#damaged(String(e));
      else if (isStoreFailure(e)) this.storeFailed(e);
      else this.halt(errors.foldFailed(batch, e));
      return undefined;
    }
    this.#unverified = undefined;
    return letters;
  }

  #disagrees(record: LogRecord): boolean {
    const last = this.#unverified;
    if (last?.offset !== record.offset || checksum(record) === last.checksum) return false;
    this.halt(errors.disagrees(record.offset));
    return true;
  }

  async #applySlowly(batch: Batch, folded: readonly DeadLetter[] | undefined): Promise<void> {
    for (let letters = folded; ; letters = this.#fold(batch)) {
      if (this.#ended()) return;
      if (letters) {
        if (letters.length > 0 && !(await this.#deliver(letters))) return;
        if (this.#commit(batch)) return;
      }
      // A failed commit has thrown the folded rows away, so they are folded again before the next try.
      await this.environment.clock.sleep(STORE_RETRY_WAIT_MS, this.#ending.signal);
    }
  }

  /** False where the partition is given up. */
  async #deliver(letters: readonly DeadLetter[]): Promise<boolean> {
    try {
      await this.environment.deliverDeadLetters?.(this.partition, letters, this.#ending.signal);
      return true;
    } catch (e) {
      this.#forget();
      if (!this.#ending.signal.aborted) throw e;
      return false;
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
      if (isDamage(e)) {
        this.#damaged(String(e));
        return true;
      }
      this.storeFailed(e);
      return false;
    }
    this.#accepted = undefined;
    if (this.#state === "running") this.environment.readable?.(batch.records);
    if (this.#storeOutage.isUnderWay) {
      this.#storeOutage.worked();
      this.forgetEnd();
      this.environment.resumed?.();
    }
    this.#noteProgress();
    return true;
  }

  #damaged(reason: string): void {
    if (this.#ended()) return;
    this.halt(errors.storeDamaged(reason));
    this.environment.damaged(reason);
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
