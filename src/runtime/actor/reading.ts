import type { AppError } from "../../errors.ts";
import type { Batch, FetchResult, PartitionEnds, TopicEnds, Watermarks } from "../../log/port.ts";
import { lostOffset } from "../store/position/applied-mark.ts";
import type { Position } from "./position.ts";
import type { ActorEnvironment } from "./actor-environment.ts";
import * as errors from "./actor-errors.ts";
import { CatchUp } from "./catch-up.ts";
import { Continuity } from "./continuity.ts";
import { Cut } from "./cut.ts";
import { HiddenTail } from "./hidden-tail.ts";
import type { Hindrance } from "./hindrance.ts";

/** Identifies a question for the log's ends, and keeps what was known when it was asked. */
export interface Question {
  readonly number: number;
  readonly nextOffset: number;
  readonly isVerified: boolean;
}

/** `onEndWanted` is called when the log has to be asked for its ends. */
type ReadingEnvironment = Pick<ActorEnvironment, "clock" | "mayBeginLate" | "isThrottled" | "onEndWanted" | "onWarning">;

export interface ReadingOptions {
  readonly partition: number;
  readonly position: Position;
  readonly hindrance: Hindrance;
  readonly environment: ReadingEnvironment;
  /** Called with an error that only a person can mend; this object is of no use after that. */
  readonly onHalt: (error: AppError) => void;
}

/**
 * Knows where an open partition stands against the log, and what to read of it next. Records come in through `accept`,
 * and what the log says about its ends comes in through `hear`. CatchUp tells whether the end is reached, Continuity
 * whether the applied records are still there, and Hindrance what keeps the partition from going on.
 *
 * ```
 *  nothing accepted ──accept()──▶ a batch accepted ──applied()──▶ nothing accepted
 *         ▲◀──────────────────forget(), or an interruption───────┘
 * ```
 */
export class Reading {
  #endOffset = 0;
  /** The next offset to read. It is ahead of the store by the batch that is accepted and not applied yet. */
  #readOffset: number;
  #accepted: Batch | undefined;
  /** An end that was heard of, and when. It has to be reached before the next one is noted. */
  #goal: { readonly offset: number; readonly heard_ms: number } | undefined;
  readonly #cut: Cut;
  /** The number of the latest question for the ends. Answers to earlier questions are ignored. */
  #questions = 0;
  readonly #catchUp = new CatchUp();
  readonly #continuity: Continuity;
  readonly #hidden: HiddenTail;

  constructor(private readonly options: ReadingOptions) {
    const { position, environment } = options;
    this.#continuity = new Continuity(position.nextOffset !== undefined);
    this.#hidden = new HiddenTail(environment.clock);
    this.#cut = new Cut(environment.clock);
    this.#readOffset = this.#comparedFrom;
  }

  get isRunning(): boolean {
    return this.#catchUp.isRunning;
  }

  get nextOffset(): number {
    return this.options.position.nextOffset ?? 0;
  }

  get endOffset(): number {
    return Math.max(this.#endOffset, this.nextOffset);
  }

  get leaderEpoch(): number {
    return this.#continuity.leaderEpoch;
  }

  get doubt(): string | undefined {
    return this.#continuity.doubt;
  }

  /** Why the log does not give the partition now. */
  get hindered(): string | undefined {
    return this.options.hindrance.unavailable ?? this.#continuity.interruption ?? this.#hidden.reason(this.nextOffset);
  }

  /** Whether the partition was complete at some time since it was opened. */
  get hasBeenComplete(): boolean {
    return this.#catchUp.hasBeenReached || this.isComplete;
  }

  get isComplete(): boolean {
    if (!this.#catchUp.wasComplete) return false;
    return this.isRunning || this.hindered !== undefined || this.options.hindrance.own !== undefined;
  }

  /**
   * Whether records that the log was known to have are not applied, and have not been for some time or cannot be now.
   */
  get isLagging(): boolean {
    const goal = this.#goal;
    if (this.#hidden.isNext(this.nextOffset)) return true;
    if (goal === undefined || this.nextOffset >= goal.offset) return false;
    return this.options.environment.isThrottled?.() || this.options.environment.clock.now_ms() - goal.heard_ms >= LAG_MS_MIN;
  }

  /** How many records lie before the end that has to be reached; 0 once it is reached. */
  get behind(): number {
    return this.#catchUp.behind(this.nextOffset);
  }

  /** The offset to read next; undefined until the log has told which topic it has. */
  get wanted(): number | undefined {
    return this.#continuity.isConfirmed ? this.#readOffset : undefined;
  }

  get accepted(): Batch | undefined {
    return this.#accepted;
  }

  /** What to keep while the log is asked for its ends, and to hand back to `hear`. */
  get question(): Question {
    return { number: this.#questions, nextOffset: this.nextOffset, isVerified: this.#continuity.isVerified };
  }

  /**
   * Takes what the log says: which topic it has, and what the partition holds now. Returns false if the log has to be
   * asked again.
   */
  hear(asked: Question, { topicId, partitions }: TopicEnds): boolean {
    const { position, partition, onHalt } = this.options;
    if (asked.number !== this.#questions) return false;
    if (partitions.length === 0) {
      this.#interrupt("The log does not know the topic.", true);
      return false;
    }
    if (topicId !== undefined && position.topicId !== undefined && position.topicId !== topicId) {
      onHalt(errors.topicMadeAnew(position.topicId, topicId, position.path));
      return true;
    }
    position.topicId ??= topicId;
    const ends = partitions[partition] ?? { unavailable: "The log does not know the partition yet." };
    this.#continuity.confirm(this.#comparedFrom < this.nextOffset, "unavailable" in ends ? undefined : ends.leaderEpoch);
    if (!("unavailable" in ends)) return this.#hearEnds(asked, ends);
    this.#unavailable(ends.unavailable);
    return false;
  }

  /** Forgets the end, and has the log asked for it again. */
  forgetEnd(): void {
    this.#catchUp.forgetEnd();
    this.askForEnd();
  }

  askForEnd(): void {
    this.#questions++;
    this.options.environment.onEndWanted?.();
  }

  /**
   * Takes a batch that was read at `wanted`, or what else the log says about the partition; any other batch is
   * dropped.
   */
  accept(result: FetchResult, takesRecords: boolean): void {
    if ("interrupted" in result) return this.#interrupt(result.interrupted, result.isGone === true);
    if ("unavailable" in result) {
      this.#unavailable(result.unavailable);
      // If there is nothing to read, only the log's ends show that the partition can be read again.
      return this.askForEnd();
    }
    if (!takesRecords || this.wanted === undefined || this.#accepted) return;
    if ("unreadable" in result) this.options.onHalt(errors.unreadable(this.#readOffset, result.unreadable));
    else if ("outOfRange" in result) this.#outOfRange(result.outOfRange);
    else if (result.batch.baseOffset === this.#readOffset) this.#acceptBatch(result.batch);
  }

  /**
   * Whether, by this batch, the log still holds what was applied and nothing else. It must be called before anything
   * of the batch is applied. Returns false if the partition had to be halted.
   */
  isKept(batch: Batch): boolean {
    if (this.#continuity.isVerified) return this.#hasExpected(batch);
    const { last, isLastOfAll, path } = this.options.position;
    const wrong = this.#continuity.compare({ last, isLastOfAll, path, nextOffset: this.nextOffset }, batch);
    if (wrong) this.options.onHalt(wrong);
    return wrong === undefined && this.#hasExpected(batch);
  }

  #hasExpected(batch: Batch): boolean {
    const lost = lostOffset(this.options.position.expected, batch);
    if (lost !== undefined) this.options.onHalt(errors.disagrees(lost, this.options.position.path));
    return lost === undefined;
  }

  /** Notes that the accepted batch is committed, or compared if nothing of it was to be committed. */
  applied({ leaderEpoch }: Batch): void {
    this.#accepted = undefined;
    if (this.#continuity.isVerified) this.#continuity.verified(leaderEpoch);
    this.#noteProgress();
  }

  /** Drops the batch that was accepted and not applied; it is read again. */
  forget(): void {
    this.#accepted = undefined;
    this.#readOffset = this.#continuity.isVerified ? this.nextOffset : this.#comparedFrom;
  }

  /** Everything before it was applied at some time. */
  get #appliedTo(): number {
    return Math.max(this.nextOffset, this.options.position.expected?.nextOffset ?? 0);
  }

  /**
   * The offset from which the applied records are compared: that of the last record applied, or where the store began.
   */
  get #comparedFrom(): number {
    const { last, firstOffset } = this.options.position;
    return last?.offset ?? Math.min(firstOffset ?? 0, this.nextOffset);
  }

  #hearEnds(asked: Question, ends: Exclude<PartitionEnds, { unavailable: string }>): boolean {
    const { position, hindrance } = this.options;
    const { startOffset, endOffset, stableOffset, leaderEpoch } = ends;
    if (position.nextOffset === undefined && startOffset > this.#readOffset && !this.#beginLate(startOffset)) return true;
    const isNewLeader = this.#continuity.noteLeader(leaderEpoch);
    // A leader that was replaced and does not know it yet may tell an older end.
    const isCut = endOffset < Math.max(asked.nextOffset, position.expected?.nextOffset ?? 0) && leaderEpoch >= this.leaderEpoch;
    if (isCut && !asked.isVerified) return this.#haltIfCutForGood(ends);
    // Only an end at or after the position rules out a cut. The last record may compare equal although the log is cut
    // after it, if what was applied there could not be decoded.
    if (!isCut) this.#cut.over();
    if (isCut || (isNewLeader && this.#continuity.isVerified)) {
      const why = isCut ? `The log ends at offset ${endOffset}, before what is applied.` : NEW_LEADER;
      this.#interrupt(why, true);
      return false;
    }
    this.#catchUp.hear(stableOffset, this.nextOffset, leaderEpoch < this.leaderEpoch);
    this.#noteEnd(Math.max(this.#endOffset, endOffset));
    // If there is nothing to read, no batch will show that the partition can be read again.
    if (stableOffset <= this.nextOffset) hindrance.unavailable = undefined;
    this.#hidden.note(ends);
    this.#noteProgress();
    return true;
  }

  #noteEnd(endOffset: number): void {
    this.#endOffset = endOffset;
    if (this.#goal === undefined || this.nextOffset >= this.#goal.offset || endOffset < this.#goal.offset)
      this.#goal = { offset: endOffset, heard_ms: this.options.environment.clock.now_ms() };
  }

  /**
   * Halts the partition if the log has told too low an end for too long. A new leader may do so for a moment
   * (KIP-207), and the partition is in doubt meanwhile. Returns false if the log has to be asked again.
   */
  #haltIfCutForGood(ends: Watermarks): boolean {
    if (!this.#cut.isForGood()) return false;
    this.options.onHalt(errors.outOfRange(this.#appliedTo, ends, this.options.position.path));
    return true;
  }

  /**
   * Notes that the log may have changed: the last record applied is read and compared before anything else is applied.
   */
  #interrupt(why: string, isDoubtful: boolean): void {
    this.#continuity.interrupt(why, isDoubtful);
    this.options.hindrance.unreadable();
    this.forget();
    this.askForEnd();
  }

  #unavailable(why: string): void {
    const { hindrance, position } = this.options;
    hindrance.unavailable = why;
    if (position.nextOffset !== undefined && position.expected === undefined) this.#catchUp.takeAppliedForAll();
  }

  /** Returns false if the partition had to be halted. */
  #beginLate(startOffset: number): boolean {
    const { partition, environment, position, onHalt } = this.options;
    if (!environment.mayBeginLate) {
      onHalt(errors.beginsLate(startOffset, position.path));
      return false;
    }
    environment.onWarning(
      partition,
      `The log begins at offset ${startOffset}; a new store starts there, without what was removed before.`,
    );
    this.#readOffset = startOffset;
    position.nextOffset = startOffset;
    position.firstOffset = startOffset;
    return true;
  }

  #outOfRange(watermarks: Watermarks): void {
    const { startOffset, endOffset } = watermarks;
    if (this.options.position.nextOffset === undefined && this.#readOffset < startOffset) {
      if (this.#beginLate(startOffset)) this.#noteProgress();
    } else if (startOffset <= this.nextOffset && this.nextOffset <= endOffset) {
      // Only applied records are gone from the log's start. They cannot be compared, but nothing unread is missing.
      this.#readOffset = Math.max(this.#readOffset, startOffset);
      if (this.#readOffset === this.nextOffset) this.#continuity.verified();
      this.#noteProgress();
    } else {
      this.options.onHalt(errors.outOfRange(this.nextOffset, watermarks, this.options.position.path));
    }
  }

  #acceptBatch(batch: Batch): void {
    if (!this.#continuity.isSameLeader(batch.leaderEpoch)) return this.#interrupt(NEW_LEADER, true);
    this.#noteEnd(batch.endOffset);
    this.#hidden.note(batch);
    this.options.hindrance.unavailable = undefined;
    if (batch.nextOffset === batch.baseOffset) return this.#noteProgress();
    this.#accepted = batch;
    this.#readOffset = batch.nextOffset;
  }

  #noteProgress(): void {
    if (!this.#continuity.isVerified) return;
    if (this.options.hindrance.readable()) this.forgetEnd();
    this.#catchUp.reach(this.nextOffset);
  }
}

/** Longer than fetched records take to be applied, even on a busy machine. */
export const LAG_MS_MIN = 2_000;
const NEW_LEADER = "The partition has another leader.";
