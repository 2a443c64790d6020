import type { AppError } from "../../errors.ts";
import type { Batch, FetchResult, TopicEnds } from "../../log/port.ts";
import type { ActorEnvironment } from "./actor-environment.ts";
import * as errors from "./actor-errors.ts";
import { Hindrance } from "./hindrance.ts";
import type { ActorState, PartitionView } from "../held-partitions.ts";
import type { Projection } from "../projection.ts";
import type { ShownSnapshot } from "../snapshots/snapshot-schedule.ts";
import { PositionWaiters } from "./position-waiters.ts";
import type { Saver } from "./saver.ts";
import { endOffsetOf, hearHalted, type Lifecycle, openedWith } from "./opened.ts";
import type { Hidden } from "../read/hidden-tail.ts";
import type { Question } from "../read/question.ts";
import type { Reading } from "./reading.ts";
import { isDamage } from "../store/store-failures.ts";
import type { HeldStore } from "../store/copy/held-store.ts";
import type { PartitionStore } from "../store/store.ts";
import { Duty, type DutyKind } from "../standby/duty.ts";
import type { OwnerCommit } from "../standby/owner-commit.ts";

/**
 * Holds one partition: its store, its position, its queries. Records come in through `accept`, in order, and `apply`
 * folds and commits them. What the log says about its ends comes in through `hear`.
 *
 * ```
 *         open()         halt()
 *  created ─────▶ open ─────────▶ halted             (one that is created may halt, too)
 *     │            │                │
 *     └─ close() ──┴────────────────┴──▶ draining ──nothing is being applied any more──▶ stopped
 * ```
 *
 * In each state it owns the partition or follows it as a standby (Duty). `take` changes that, and it keeps its rows: an
 * owner to be first compares the last record applied and reads to the log's end, as after the opening.
 *
 * While the actor is open, Reading tells whether it is catching up or running. A hindrance passes by itself and is not
 * a state of its own: a hindered actor is created or open, and Hindrance tells whether it is suspended (its store
 * fails), blocked (its dead letters cannot be appended) or not given by the log.
 */
export class PartitionActor implements PartitionView {
  #state: Lifecycle = { is: "created" };
  readonly #hindrance: Hindrance;
  readonly #ending = new AbortController();
  readonly #waiters: PositionWaiters;
  readonly #duty: Duty;
  #preparing: string | undefined;

  constructor(
    readonly partition: number,
    private readonly environment: ActorEnvironment,
    duty: DutyKind = "owner",
  ) {
    const { clock, onWarning } = environment;
    this.#duty = new Duty(duty, clock, environment.isOwner);
    this.#waiters = new PositionWaiters(clock, this.#ending.signal);
    this.#hindrance = new Hindrance(clock, (message, isOver) => onWarning(partition, message, isOver ? "info" : "warn"));
  }

  get state(): ActorState {
    const { is, opened } = this.#state;
    if (is === "open") return this.#hindrance.state ?? (opened.reading.catchUp.isRunning ? "running" : "catching-up");
    return is === "created" ? (this.#hindrance.state ?? is) : (is satisfies "halted" | "draining" | "stopped");
  }
  get duty(): DutyKind {
    return this.#duty.kind;
  }
  get nextOffset(): number {
    return this.#state.opened?.store.nextOffset ?? 0;
  }
  get endOffset(): number {
    return endOffsetOf(this.#state);
  }
  get halted(): string | undefined {
    return this.#state.halt?.error.message;
  }
  get since_ms(): number | undefined {
    return this.#isEnded ? this.#state.halt?.since_ms : (this.#hindrance.since_ms ?? this.hidden?.lasting?.since_ms);
  }
  get hindered(): string | undefined {
    if (this.#isEnded) return undefined;
    const { opened } = this.#state;
    const why = opened === undefined ? this.#hindrance.unavailable : opened.reading.hindered;
    return this.#hindrance.own ?? why ?? this.#duty.hindrance;
  }
  /** Since when the log has not given the partition, on the process's clock. */
  get unreadableSince_ms(): number | undefined {
    return this.#isEnded ? undefined : this.#hindrance.unreadableSince_ms;
  }
  get hidden(): Hidden | undefined {
    return this.#reading?.hidden;
  }
  get isComplete(): boolean {
    return this.#reading?.isComplete ?? false;
  }
  get hasBeenComplete(): boolean {
    return this.#reading?.hasBeenComplete ?? false;
  }
  get hasReachedEnd(): boolean {
    return this.#reading?.catchUp.hasBeenReached ?? false;
  }
  get isLagging(): boolean {
    return this.#state.opened?.reading.isLagging ?? false;
  }
  get age_ms(): number | undefined {
    return this.#reading?.age_ms;
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
  /** Up to where the store's file has everything; undefined while it is not open, or has nothing. */
  get savedOffset(): number | undefined {
    return this.#state.opened?.store.savedOffset;
  }
  /** Holds what is saved, to copy it; undefined unless it is sound. */
  readonly hold = (): HeldStore | undefined => (this.isSound ? this.#state.opened?.store.hold() : undefined);
  /** Whether what is applied is known to be what the log has, and the store works. */
  get isSound(): boolean {
    return this.#reading?.isVerified === true && this.#hindrance.state !== "suspended";
  }
  get snapshot(): ShownSnapshot | undefined {
    return this.environment.newestSnapshot?.();
  }
  get digest(): string | undefined {
    return this.#state.opened?.store.projections.digest;
  }
  view<View>(projection: Projection<View>): View | undefined {
    return this.#state.opened?.store.view(projection);
  }

  /** What an owner tells those who follow the partition. Rows that may not be what the log has are not compared. */
  get commit(): OwnerCommit {
    const told = { nextOffset: this.nextOffset, topicId: this.#state.opened?.store.topicId, kind: this.environment.storeKind };
    return this.#isEnded || this.doubt !== undefined ? told : { ...told, digest: this.digest };
  }

  /** Owns the partition from now on, or follows it; `wasAway`: if it owned it before, another one may have since. */
  take(duty: DutyKind, wasAway = false): void {
    if (duty === this.#duty.kind && !(wasAway && duty === "owner")) return;
    this.#duty.take(duty);
    if (duty === "owner") return this.#reading?.beginAnew(true);
    // Who waits for a position is answered by the owner.
    this.#waiters.end();
    this.#reading?.forget();
  }

  /** Takes what the owner has committed of the partition that this process follows. */
  hearOwner(commit: OwnerCommit): void {
    const reading = this.#reading;
    const agreement = reading && this.#duty.hear(commit, this.commit, reading.endOffset);
    // Either of the two may have applied what the log has lost: it finds that out by itself.
    if (agreement === "begins to differ") reading?.beginAnew();
    if (agreement === "differs for good") this.environment.onDisagreement?.(commit);
  }

  /** Notes that the store could not be opened or written; it is tried again, unless it is damaged. */
  storeFailed(e: unknown): void {
    if (isDamage(e)) return this.damaged(e.message);
    if (this.#hindrance.storeFailed(errors.storeAdvice(e, this.environment.storePath())))
      this.environment.meter?.storeFailed(this.partition);
  }

  /** Notes that the log does not give the partition, before its store can be opened. */
  unavailable(why: string): void {
    this.#hindrance.unavailable = why;
  }

  get preparing(): string | undefined {
    return this.#state.is === "created" ? this.#preparing : undefined;
  }

  /** Says what is done before its store can be opened: a sentence. */
  prepare(what: string): void {
    this.#preparing = what;
  }

  /** Synchronous, so that the position is known before anything is read. */
  open(store: PartitionStore): void {
    if (this.#state.is !== "created") return store.close();
    const { partition, environment } = this;
    store.reportOpened();
    this.#hindrance.storeWorked();
    const parts = openedWith({
      partition,
      environment,
      store,
      duty: this.#duty,
      hindrance: this.#hindrance,
      ending: this.#ending.signal,
      onHalt: (error) => this.halt(error),
      onDamaged: (reason) => this.damaged(reason),
      onStoreFailed: (e) => this.storeFailed(e),
      onApplied: () => this.#noteProgress(),
    });
    this.#state = { is: "open", opened: parts };
    parts.reading.askForEnd();
  }

  /** What to keep while the log is asked for its ends, and to hand back to `hear`; undefined while it does not read. */
  get question(): Question | undefined {
    return this.#reading?.question;
  }

  /** Takes what the log says about its ends. Returns false if the log has to be asked again. */
  hear(asked: Question | undefined, ends: TopicEnds): boolean {
    const reading = this.#reading;
    if (!reading) return hearHalted(this.#state, ends.partitions[this.partition]);
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

  /** Takes a batch that was read at `wanted`, or what else the log says; any other batch is dropped. */
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

  /** What saves the partition; undefined unless it is open. */
  get saver(): Saver | undefined {
    return this.#state.is === "open" ? this.#state.opened.saver : undefined;
  }

  reached(offset: number, wait_ms_max: number, leaving?: AbortSignal): Promise<boolean> {
    if (this.nextOffset >= offset || this.#isEnded) return Promise.resolve(this.nextOffset >= offset);
    const waiting = this.#waiters.wait(offset, wait_ms_max, leaving);
    this.environment.onAwaited?.();
    return waiting;
  }

  queryError(e: unknown): AppError {
    if (!isDamage(e)) return errors.storeFailed(this.partition, e, this.environment.storePath());
    this.damaged(e.message);
    return errors.storeRebuilt(this.partition, e);
  }

  halt(error: AppError): void {
    if (this.#isEnded) return;
    this.#state = { is: "halted", opened: this.#state.opened, halt: { error, since_ms: this.environment.clock.wall_ms() } };
    this.#end();
    this.environment.onHalted?.(this.partition, error.message);
    // What was applied is evidence: a log that lost it is found out after a restart, too (I7).
    void this.#state.opened?.saver.end();
    this.environment.onWarning(this.partition, `${error.code}: ${error.message}`, "error");
  }

  /** Finishes what is being applied, saves it, and closes the store; `onSaved` may copy a sound one before. */
  async close(onSaved?: (hold: () => HeldStore) => Promise<void>): Promise<void> {
    if (this.#state.is === "stopped") return;
    const { opened, halt } = this.#state;
    const mayCopy = onSaved !== undefined && this.isSound;
    this.#state = { is: "draining", opened, halt };
    this.#end();
    await opened?.applier.settle();
    await opened?.saver.end();
    if (opened !== undefined && mayCopy) await onSaved(() => opened.store.hold());
    if (this.#state.is === "draining") opened?.store.close();
    this.#state = { is: "stopped", halt };
  }

  #end(): void {
    this.#ending.abort();
    this.#duty.end();
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

  get #reading(): Reading | undefined {
    return this.#state.is === "open" ? this.#state.opened.reading : undefined;
  }

  /** Notes that something in the store is damaged: it must be replaced. */
  damaged(reason: string): void {
    if (this.#isEnded) return;
    this.halt(errors.storeDamaged(this.environment.storePath(), reason));
    this.environment.onDamaged(reason);
  }

  #noteProgress(): void {
    this.#waiters.reached(this.nextOffset);
    if (this.#state.is !== "open") return;
    const { store, reading, applier } = this.#state.opened;
    if (store.nextOffset === undefined && reading.catchUp.isRunning) applier.keepEmpty();
  }
}
