import type { AppError } from "../../errors.ts";
import type { Batch, FetchResult, PartitionEnds, TopicEnds, Watermarks } from "../../log/port.ts";
import { lostOffset } from "../store/position/applied-mark.ts";
import type { Position } from "./position.ts";
import type { ActorEnvironment } from "./actor-environment.ts";
import * as errors from "./actor-errors.ts";
import { CatchUp } from "./catch-up.ts";
import { Continuity } from "./continuity.ts";
import { Cut } from "./cut.ts";
import type { Hindrance } from "./hindrance.ts";
import type { Hidden } from "../read/hidden-tail.ts";
import { KnownEnd } from "../read/known-end.ts";
import type { Question } from "../read/question.ts";

/** `onEndWanted` is called when the log has to be asked for its ends. */
type ReadingEnvironment = Pick<
  ActorEnvironment,
  "clock" | "mayBeginLate" | "isThrottled" | "onEndWanted" | "onOutrun" | "onWarning"
>;

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
  /** The next offset to read. It is ahead of the store by the batch that is accepted and not applied yet. */
  #readOffset: number;
  #accepted: Batch | undefined;
  readonly #knownEnd: KnownEnd;
  readonly #cut: Cut;
  /** The number of the latest question for the ends. Answers to earlier questions are ignored. */
  #questions = 0;
  readonly catchUp = new CatchUp();
  readonly #continuity: Continuity;

  constructor(private readonly options: ReadingOptions) {
    const { position, environment } = options;
    this.#continuity = new Continuity(position.nextOffset !== undefined);
    this.#knownEnd = new KnownEnd(environment.clock);
    this.#cut = new Cut(environment.clock);
    this.#readOffset = this.#comparedFrom;
  }

  get nextOffset(): number {
    return this.options.position.nextOffset ?? 0;
  }
  get endOffset(): number {
    return Math.max(this.#knownEnd.endOffset, this.nextOffset);
  }

  get leaderEpoch(): number {
    return this.#continuity.leaderEpoch;
  }

  /** Whether what is applied is known to be what the log has. */
  get isVerified(): boolean {
    return this.#continuity.isVerified;
  }

  get doubt(): string | undefined {
    return this.#continuity.doubt;
  }

  /** Why the log does not give the partition now. */
  get hindered(): string | undefined {
    return this.options.hindrance.unavailable ?? this.#continuity.interruption ?? this.hidden?.lasting?.sentence;
  }

  get hidden(): Hidden | undefined {
    return this.#knownEnd.hidden.at(this.nextOffset);
  }

  /** Whether the partition was complete at some time since it was opened. */
  get hasBeenComplete(): boolean {
    return this.catchUp.hasBeenReached || this.isComplete;
  }

  get isComplete(): boolean {
    if (!this.catchUp.wasComplete) return false;
    return this.catchUp.isRunning || this.hindered !== undefined || this.options.hindrance.own !== undefined;
  }

  get isLagging(): boolean {
    return this.#knownEnd.isLagging(this.nextOffset, this.options.environment.isThrottled?.() === true);
  }

  get age_ms(): number | undefined {
    return this.#knownEnd.age_ms(this.nextOffset, this.doubt === undefined && this.hasBeenComplete);
  }

  /** How many records lie before the end that has to be reached; 0 once it is reached. */
  get behind(): number {
    return this.catchUp.behind(this.nextOffset);
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
    const { nextOffset, isVerified } = this;
    return { number: this.#questions, nextOffset, isVerified, asked_ms: this.options.environment.clock.now_ms() };
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

  /** Begins as after the opening, since clients may have read more at another owner: compares, and reads to the end. */
  beginAnew(takingOver = false): void {
    this.#knownEnd.beginAnew(takingOver ? this.age_ms : undefined);
    this.#continuity.beginAnew(this.options.position.nextOffset !== undefined);
    this.catchUp.beginAnew();
    this.forget();
    this.askForEnd();
  }

  /** Forgets the end, and has the log asked for it again. */
  forgetEnd(): void {
    this.catchUp.forgetEnd();
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

  /** The offset from which records are compared: that of the last one applied, or where the store began. */
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
    this.catchUp.hear(stableOffset, this.nextOffset, leaderEpoch < this.leaderEpoch);
    this.#knownEnd.note({ ...ends, asked_ms: asked.asked_ms }, this.nextOffset, this.#knownEnd.endOffset);
    // If there is nothing to read, no batch will show that the partition can be read again.
    if (stableOffset <= this.nextOffset) hindrance.unavailable = undefined;
    this.#noteProgress();
    return true;
  }

  /**
   * Halts the partition if the log has told too low an end for too long. A new leader may do so for a moment
   * (KIP-207), and the partition is in doubt meanwhile. Returns false if the log has to be asked again.
   */
  #haltIfCutForGood(ends: Watermarks): boolean {
    const { position } = this.options;
    if (!this.#cut.isForGood()) return false;
    this.options.onHalt(errors.outOfRange(Math.max(this.nextOffset, position.expected?.nextOffset ?? 0), ends, position.path));
    return true;
  }

  /**
   * Notes that the log may have changed: the last record applied is read and compared before anything else is applied.
   */
  #interrupt(why: string, isDoubtful: boolean): void {
    this.#continuity.interrupt(why, isDoubtful);
    if (isDoubtful) this.#knownEnd.forgetTakenOver();
    this.options.hindrance.unreadable();
    this.forget();
    this.askForEnd();
  }

  #unavailable(why: string): void {
    const { hindrance, position } = this.options;
    hindrance.unavailable = why;
    const isComplete = position.expected === undefined && position.isRestored !== true;
    if (position.nextOffset !== undefined && isComplete) this.catchUp.takeAppliedForAll();
  }

  /** Returns false if the partition had to be halted. */
  #beginLate(startOffset: number): boolean {
    const { partition, environment, position } = this.options;
    if (!environment.mayBeginLate) {
      this.#outrun(errors.beginsLate(startOffset, position.path));
      return false;
    }
    environment.onWarning(partition, errors.begunLate(startOffset));
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
      if (this.#readOffset === this.nextOffset) this.#continuity.nothingToCompare();
      this.#noteProgress();
    } else {
      const error = errors.outOfRange(this.nextOffset, watermarks, this.options.position.path);
      if (this.nextOffset < startOffset) this.#outrun(error);
      else this.options.onHalt(error);
    }
  }

  /** The log no longer has what comes next. */
  #outrun(error: AppError): void {
    const { environment, onHalt } = this.options;
    (environment.onOutrun ?? onHalt)(error);
  }

  #acceptBatch(batch: Batch): void {
    if (!this.#continuity.isSameLeader(batch.leaderEpoch)) return this.#interrupt(NEW_LEADER, true);
    this.#knownEnd.note(batch, this.nextOffset);
    this.options.hindrance.unavailable = undefined;
    if (batch.nextOffset === batch.baseOffset) return this.#noteProgress();
    this.#accepted = batch;
    this.#readOffset = batch.nextOffset;
  }

  #noteProgress(): void {
    if (!this.#continuity.isVerified) return;
    if (this.options.hindrance.readable()) this.forgetEnd();
    this.catchUp.reach(this.nextOffset);
    if (this.catchUp.isRunning && this.hidden === undefined) this.#knownEnd.forgetTakenOver();
    if (this.catchUp.isRunning) this.options.position.reachedEnd?.();
  }
}

const NEW_LEADER = "The partition has another leader.";
