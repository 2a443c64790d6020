import type { AppError } from "../../errors.ts";
import type { Batch, FetchResult, TopicEnds } from "../../log/port.ts";
import type { ActorEnvironment, DeadLetter } from "./actor-environment.ts";
import * as errors from "./actor-errors.ts";
import { foldBatch } from "./fold-batch.ts";
import { Hindrance } from "./hindrance.ts";
import type { ActorState, PartitionView } from "../held-partitions.ts";
import type { Projection } from "../projection.ts";
import { PositionWaiters } from "./position-waiters.ts";
import { type Question, Reading } from "./reading.ts";
import { isDamage, isStoreFailure } from "../store/store-failures.ts";
import { lastOffsetOf, lastRecordOf, type PartitionStore } from "../store/store.ts";

/** How long to wait before a store that failed is tried again. */
export const STORE_RETRY_WAIT_MS = 1_000;

/**
 * Owns one partition: its store, its position, its queries. Records go in through `accept`, in order; `apply` folds them and commits
 * rows and offset in one transaction. Nothing is awaited between the ownership check and the commit. What the log tells of its ends goes
 * in through `hear`.
 *
 * ```
 *            open()                 end reached
 *  created ─────────▶ catching-up ────────────▶ running ──close()──▶ draining ──▶ stopped
 *                        │ ▲  ◀──end not known──    │
 *                        └─┴──── halt() ────────────┴──▶ halted ──close()──▶ stopped
 *
 *  beside it, while it lasts: suspended (its store fails), blocked (its letters do), the log does not give it (Hindrance)
 * ```
 */
export class PartitionActor implements PartitionView {
  #state: "created" | "open" | "halted" | "draining" | "stopped" = "created";
  #store: PartitionStore | undefined;
  /** Together with the store. */
  #reading: Reading | undefined;
  #halted: { readonly error: AppError; readonly since_ms: number } | undefined;
  #applying: Promise<void> | undefined;
  readonly #hindrance: Hindrance;
  readonly #ending = new AbortController();
  readonly #waiters: PositionWaiters;
  constructor(
    readonly partition: number,
    private readonly environment: ActorEnvironment,
  ) {
    const { clock, warn } = environment;
    this.#waiters = new PositionWaiters(clock, this.#ending.signal);
    this.#hindrance = new Hindrance(clock, (message, isOver) => warn(partition, message, isOver ? "info" : "warn"));
  }

  get state(): ActorState {
    if (this.#state !== "created" && this.#state !== "open") return this.#state;
    return this.#hindrance.state ?? (this.#reading ? (this.#reading.isRunning ? "running" : "catching-up") : "created");
  }

  get nextOffset(): number {
    return this.#store?.nextOffset ?? 0;
  }
  get endOffset(): number {
    return this.#reading?.endOffset ?? 0;
  }

  get halted(): string | undefined {
    return this.#halted?.error.message;
  }
  get since_ms(): number | undefined {
    if (this.#ended()) return this.#halted?.since_ms;
    return this.#hindrance.since_ms;
  }
  get hindered(): string | undefined {
    if (this.#ended()) return undefined;
    return this.#hindrance.own ?? (this.#reading === undefined ? this.#hindrance.unavailable : this.#reading.hindered);
  }

  /** Since when the log does not give it, on the process' clock. */
  get unreadableSince_ms(): number | undefined {
    return this.#ended() ? undefined : this.#hindrance.unreadableSince_ms;
  }

  get isComplete(): boolean {
    return !this.#ended() && (this.#reading?.isComplete ?? false);
  }
  get isLagging(): boolean {
    return this.#reading?.isLagging ?? false;
  }
  get doubt(): string | undefined {
    return this.#ended() ? undefined : this.#reading?.doubt;
  }
  get leaderEpoch(): number {
    return this.#reading?.leaderEpoch ?? 0;
  }
  get startedAt(): number {
    return this.#store?.firstOffset ?? 0;
  }
  get hasStore(): boolean {
    return this.#store !== undefined;
  }
  get digest(): string | undefined {
    return this.#store?.projections.digest;
  }
  view<View>(projection: Projection<View>): View | undefined {
    return this.#store?.view(projection);
  }

  /** The store could not be opened or written, and is tried again. */
  storeFailed(e: unknown): void {
    if (this.#hindrance.storeFailed(errors.storeAdvice(e, this.environment.storePath())))
      this.environment.meter?.storeFailed(this.partition);
  }

  /** The log does not tell of the partition, before its store can be opened. */
  unavailable(why: string): void {
    this.#hindrance.unavailable = why;
  }

  /** Synchronous, so that the position is known before anything is read. */
  open(store: PartitionStore): void {
    const { partition, environment } = this;
    this.#hindrance.storeWorked();
    this.#store = store;
    const [hindrance, onHalt] = [this.#hindrance, (error: AppError) => this.halt(error)];
    this.#reading = new Reading({ partition, position: store, hindrance, environment, onHalt });
    this.#state = "open";
    this.#reading.askForEnd();
  }

  /** To be noted when the log is asked for its ends, and given back to `hear`. Undefined while it does not read. */
  get question(): Question | undefined {
    return this.#open()?.question;
  }

  /** What the log tells of its ends. Returns false where it has to be asked again. */
  hear(asked: Question | undefined, ends: TopicEnds): boolean {
    const reading = this.#open();
    if (!reading) return true;
    const isHeard = asked !== undefined && reading.hear(asked, ends);
    this.#noteProgress();
    return isHeard;
  }

  forgetEnd(): void {
    this.#open()?.forgetEnd();
  }

  /** Where to read next; undefined while it takes no records. */
  get wanted(): number | undefined {
    return this.#applying ? undefined : this.#open()?.wanted;
  }

  get behind(): number {
    return this.#open()?.behind ?? 0;
  }

  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  get accepted(): Batch | undefined {
    return this.#applying ? undefined : this.#open()?.accepted;
  }

  /** Takes what was read at `wanted`, and what is told of the partition; anything else is dropped. */
  accept(result: FetchResult): void {
    this.#open()?.accept(result, !this.#applying);
    this.#noteProgress();
  }

  /** Applies what was accepted. Returns a promise only where it must wait: for dead letters to be appended, or for a store that fails. */
  apply(): Promise<void> | undefined {
    const batch = this.accepted;
    if (!batch) return undefined;
    let letters = this.#fold(batch);
    if (this.#ended()) return undefined;
    if (letters?.length === 0 && this.#commit(batch)) return undefined;
    if (letters?.length === 0) letters = undefined;
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
    if (!isDamage(e)) return errors.storeFailed(this.partition, e, this.environment.storePath());
    this.#damaged(e.message);
    return errors.storeRebuilt(this.partition, e);
  }

  halt(error: AppError): void {
    if (this.#ended()) return;
    this.#halted = { error, since_ms: this.environment.clock.wall_ms() };
    this.#state = "halted";
    this.#end();
    this.environment.warn(this.partition, `${error.code}: ${error.message}`, "error");
  }

  /** Finishes the transaction under way, if any, and closes the store. */
  async close(): Promise<void> {
    if (this.#state === "stopped") return;
    this.#state = "draining";
    this.#end();
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

  /** Undefined while it does not read. */
  #open(): Reading | undefined {
    return this.#state === "open" ? this.#reading : undefined;
  }

  /** Folds the batch in memory; undefined where the partition had to be halted, or the store failed and the batch is to be folded again. */
  #fold(batch: Batch): DeadLetter[] | undefined {
    const store = this.#store;
    if (!store || !this.#open()?.isKept(batch)) return undefined;
    try {
      const letters = foldBatch(batch, this.nextOffset, store.projections);
      return this.environment.deliverDeadLetters ? letters : [];
    } catch (e) {
      store.projections.reset();
      if (isDamage(e)) this.#damaged(String(e));
      else if (isStoreFailure(e)) this.storeFailed(e);
      else this.halt(errors.foldFailed(batch, e));
      return undefined;
    }
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
      if (this.#reading?.accepted !== batch) return this.#forget();
    }
  }

  /** False where the partition is given up. */
  async #deliver(letters: readonly DeadLetter[]): Promise<boolean> {
    const { deliverDeadLetters } = this.environment;
    try {
      const wasBlocked = await this.#hindrance.whileDelivering((onFailed) =>
        deliverDeadLetters?.(this.partition, letters, this.#ending.signal, onFailed),
      );
      if (wasBlocked) this.forgetEnd();
      return true;
    } catch (e) {
      this.#forget();
      if (!this.#ending.signal.aborted) throw e;
      return false;
    }
  }

  /** True when there is nothing left to do for the batch: it is committed, it is another owner's now, or it is to be read again. */
  #commit(batch: Batch): boolean {
    const store = this.#store;
    const reading = this.#open();
    if (!store || !reading) return true;
    if (!this.environment.isOwner() || reading.accepted !== batch) {
      this.#forget();
      return true;
    }
    const record = batch.records.at(-1);
    const last = record && lastOffsetOf(record) >= this.nextOffset ? lastRecordOf(record) : store.last;
    const { news } = store.projections;
    try {
      if (batch.nextOffset > this.nextOffset || store.nextOffset === undefined) store.commit(batch.nextOffset, last);
    } catch (e) {
      store.projections.reset();
      if (isDamage(e)) this.#damaged(String(e));
      else this.storeFailed(e);
      return isDamage(e);
    }
    if (news && reading.isRunning) this.environment.readable?.(news);
    if (this.#hindrance.storeWorked()) reading.forgetEnd();
    reading.applied(batch);
    this.#noteProgress();
    return true;
  }

  #damaged(reason: string): void {
    if (this.#ended()) return;
    this.halt(errors.storeDamaged(this.environment.storePath(), reason));
    this.environment.damaged(reason);
  }

  /** What was accepted and not applied is read again. */
  #forget(): void {
    this.#store?.projections.reset();
    this.#reading?.forget();
  }

  #noteProgress(): void {
    this.#waiters.reached(this.nextOffset);
    if (this.#store?.nextOffset === undefined && this.#open()?.isRunning) this.#keepEmpty();
  }

  /** That the partition had nothing is worth knowing after a restart, should it not be readable then. */
  #keepEmpty(): void {
    const store = this.#store;
    if (!store || !this.environment.isOwner()) return;
    try {
      store.commit(0, undefined);
    } catch {
      // It comes with the first record.
      store.projections.reset();
    }
  }
}
