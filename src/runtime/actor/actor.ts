import type { AppError } from "../../errors.ts";
import type { Batch, FetchResult, TopicEnds } from "../../log/port.ts";
import type { ActorEnvironment } from "./actor-environment.ts";
import * as errors from "./actor-errors.ts";
import { Applier } from "./applier.ts";
import { Hindrance } from "./hindrance.ts";
import type { ActorState, PartitionView } from "../held-partitions.ts";
import type { Projection } from "../projection.ts";
import { PositionWaiters } from "./position-waiters.ts";
import { type Question, Reading } from "./reading.ts";
import { isDamage } from "../store/store-failures.ts";
import type { PartitionStore } from "../store/store.ts";
import { Saver } from "./saver.ts";

/**
 * The parts of an open partition: its store, where it stands against the log, what applies its batches, and what saves
 * them.
 */
interface Opened {
  readonly store: PartitionStore;
  readonly reading: Reading;
  readonly applier: Applier;
  readonly saver: Saver;
}

/** Why only a person can tell what is right, and since when on the wall clock. */
interface Halt {
  readonly error: AppError;
  readonly since_ms: number;
}

/**
 * A halted partition still shows what it has applied. A partition that was halted before it was closed still shows
 * why.
 */
type State =
  | { readonly is: "created"; readonly opened?: undefined; readonly halt?: undefined }
  | { readonly is: "open"; readonly opened: Opened; readonly halt?: undefined }
  | { readonly is: "halted"; readonly opened: Opened | undefined; readonly halt: Halt }
  | { readonly is: "draining"; readonly opened: Opened | undefined; readonly halt: Halt | undefined }
  | { readonly is: "stopped"; readonly opened?: undefined; readonly halt: Halt | undefined };

/**
 * Owns one partition: its store, its position, its queries. Records come in through `accept`, in order, and `apply`
 * folds and commits them. What the log says about its ends comes in through `hear`.
 *
 * ```
 *         open()         halt()
 *  created ─────▶ open ─────────▶ halted             (one that is created may halt, too)
 *     │            │                │
 *     └─ close() ──┴────────────────┴──▶ draining ──nothing is being applied any more──▶ stopped
 * ```
 *
 * While the actor is open, Reading tells whether it is catching up or running. A hindrance passes by itself and is not
 * a state of its own: a hindered actor is created or open, and Hindrance tells whether it is suspended (its store
 * fails), blocked (its dead letters cannot be appended) or not given by the log.
 */
export class PartitionActor implements PartitionView {
  #state: State = { is: "created" };
  readonly #hindrance: Hindrance;
  readonly #ending = new AbortController();
  readonly #waiters: PositionWaiters;

  constructor(
    readonly partition: number,
    private readonly environment: ActorEnvironment,
  ) {
    const { clock, onWarning } = environment;
    this.#waiters = new PositionWaiters(clock, this.#ending.signal);
    this.#hindrance = new Hindrance(clock, (message, isOver) => onWarning(partition, message, isOver ? "info" : "warn"));
  }

  get state(): ActorState {
    const { is, opened } = this.#state;
    if (is === "open") return this.#hindrance.state ?? (opened.reading.isRunning ? "running" : "catching-up");
    return is === "created" ? (this.#hindrance.state ?? is) : (is satisfies "halted" | "draining" | "stopped");
  }

  get nextOffset(): number {
    return this.#state.opened?.store.nextOffset ?? 0;
  }
  get endOffset(): number {
    return this.#state.opened?.reading.endOffset ?? 0;
  }

  get halted(): string | undefined {
    return this.#state.halt?.error.message;
  }
  get since_ms(): number | undefined {
    return this.#isEnded ? this.#state.halt?.since_ms : this.#hindrance.since_ms;
  }
  get hindered(): string | undefined {
    if (this.#isEnded) return undefined;
    const { opened } = this.#state;
    return this.#hindrance.own ?? (opened === undefined ? this.#hindrance.unavailable : opened.reading.hindered);
  }

  /** Since when the log has not given the partition, on the process's clock. */
  get unreadableSince_ms(): number | undefined {
    return this.#isEnded ? undefined : this.#hindrance.unreadableSince_ms;
  }

  get isComplete(): boolean {
    return this.#reading?.isComplete ?? false;
  }
  get hasBeenComplete(): boolean {
    return this.#reading?.hasBeenComplete ?? false;
  }
  get isLagging(): boolean {
    return this.#state.opened?.reading.isLagging ?? false;
  }
  get doubt(): string | undefined {
    return this.#reading?.doubt;
  }
  get leaderEpoch(): number {
    return this.#state.opened?.reading.leaderEpoch ?? 0;
  }
  get startedAt(): number {
    return this.#state.opened?.store.firstOffset ?? 0;
  }
  get hasStore(): boolean {
    return this.#state.opened !== undefined;
  }
  get digest(): string | undefined {
    return this.#state.opened?.store.projections.digest;
  }
  view<View>(projection: Projection<View>): View | undefined {
    return this.#state.opened?.store.view(projection);
  }

  /** Notes that the store could not be opened or written; it is tried again, unless it is damaged. */
  storeFailed(e: unknown): void {
    if (isDamage(e)) return this.#damaged(e.message);
    if (this.#hindrance.storeFailed(errors.storeAdvice(e, this.environment.storePath())))
      this.environment.meter?.storeFailed(this.partition);
  }

  /** Notes that the log does not give the partition, before its store can be opened. */
  unavailable(why: string): void {
    this.#hindrance.unavailable = why;
  }

  /** Synchronous, so that the position is known before anything is read. */
  open(store: PartitionStore): void {
    if (this.#state.is !== "created") return store.close();
    const { partition, environment } = this;
    this.#hindrance.storeWorked();
    const shared = { partition, environment, hindrance: this.#hindrance, onHalt: (error: AppError) => this.halt(error) };
    const reading = new Reading({ ...shared, position: store });
    const failures = {
      ending: this.#ending.signal,
      onDamaged: (reason: string) => this.#damaged(reason),
      onStoreFailed: (e: unknown) => this.storeFailed(e),
    };
    const saver = new Saver({ ...shared, ...failures, store, onWorking: () => reading.forgetEnd() });
    const applier = new Applier({ ...shared, ...failures, store, saver, reading, onApplied: () => this.#noteProgress() });
    this.#state = { is: "open", opened: { store, reading, applier, saver } };
    reading.askForEnd();
  }

  /**
   * What to keep while the log is asked for its ends, and to hand back to `hear`. Undefined while the actor does not
   * read.
   */
  get question(): Question | undefined {
    return this.#reading?.question;
  }

  /** Takes what the log says about its ends. Returns false if the log has to be asked again. */
  hear(asked: Question | undefined, ends: TopicEnds): boolean {
    const reading = this.#reading;
    if (!reading) return true;
    const isHeard = asked !== undefined && reading.hear(asked, ends);
    this.#noteProgress();
    return isHeard;
  }

  forgetEnd(): void {
    this.#reading?.forgetEnd();
  }

  /** The offset to read next; undefined while the actor takes no records. */
  get wanted(): number | undefined {
    return this.#isApplying ? undefined : this.#reading?.wanted;
  }

  get behind(): number {
    return this.#reading?.behind ?? 0;
  }

  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  get accepted(): Batch | undefined {
    return this.#isApplying ? undefined : this.#reading?.accepted;
  }

  /**
   * Takes a batch that was read at `wanted`, or what else the log says about the partition; any other batch is
   * dropped.
   */
  accept(result: FetchResult): void {
    this.#reading?.accept(result, !this.#isApplying);
    this.#noteProgress();
  }

  /**
   * Applies the accepted batch. Returns a promise only if it must wait: for dead letters to be appended, or for a
   * store that fails.
   */
  apply(): Promise<void> | undefined {
    const batch = this.accepted;
    return batch && this.#state.opened?.applier.apply(batch);
  }

  /** How many rows are applied and not saved yet, and can be saved. */
  get unsaved(): number {
    return this.#state.is === "open" ? this.#state.opened.store.projections.unsaved : 0;
  }

  /** Resolves when the saving that is under way has ended or failed; undefined if none is. */
  get saving(): Promise<void> | undefined {
    return this.#state.opened?.saver.running;
  }

  isSaveDue(now_ms: number): boolean {
    return this.#state.is === "open" && this.#state.opened.saver.isDue(now_ms);
  }

  /** Begins to save what is applied. */
  save(): void {
    if (this.#state.is === "open") this.#state.opened.saver.save();
  }

  reached(offset: number, wait_ms_max: number): Promise<boolean> {
    if (this.nextOffset >= offset || this.#isEnded) return Promise.resolve(this.nextOffset >= offset);
    const waiting = this.#waiters.wait(offset, wait_ms_max);
    this.environment.onAwaited?.();
    return waiting;
  }

  queryError(e: unknown): AppError {
    if (!isDamage(e)) return errors.storeFailed(this.partition, e, this.environment.storePath());
    this.#damaged(e.message);
    return errors.storeRebuilt(this.partition, e);
  }

  halt(error: AppError): void {
    if (this.#isEnded) return;
    const halt = { error, since_ms: this.environment.clock.wall_ms() };
    this.#state = { is: "halted", opened: this.#state.opened, halt };
    this.#end();
    // What was applied is evidence: a log that lost it is found out after a restart, too (I7).
    void this.#state.opened?.saver.end();
    this.environment.onWarning(this.partition, `${error.code}: ${error.message}`, "error");
  }

  /** Finishes what is being applied, saves it, and closes the store. */
  async close(): Promise<void> {
    if (this.#state.is === "stopped") return;
    const { opened, halt } = this.#state;
    this.#state = { is: "draining", opened, halt };
    this.#end();
    await opened?.applier.settle();
    await opened?.saver.end();
    if (this.#state.is === "draining") opened?.store.close();
    this.#state = { is: "stopped", halt };
  }

  #end(): void {
    this.#ending.abort();
    this.#waiters.end();
  }

  get #isEnded(): boolean {
    return this.#state.is !== "created" && this.#state.is !== "open";
  }

  /** A partition whose store fails applies nothing more, so that what is only in memory stays bounded (I10). */
  get #isApplying(): boolean {
    const { opened } = this.#state;
    return opened !== undefined && (opened.applier.isApplying || opened.saver.isFailing);
  }

  /** Undefined unless the actor is open, as only then does it read. */
  get #reading(): Reading | undefined {
    return this.#state.is === "open" ? this.#state.opened.reading : undefined;
  }

  #damaged(reason: string): void {
    if (this.#isEnded) return;
    this.halt(errors.storeDamaged(this.environment.storePath(), reason));
    this.environment.onDamaged(reason);
  }

  #noteProgress(): void {
    this.#waiters.reached(this.nextOffset);
    if (this.#state.is !== "open") return;
    const { store, reading, applier } = this.#state.opened;
    if (store.nextOffset === undefined && reading.isRunning) applier.keepEmpty();
  }
}
