import type { Clock } from "../../system/clock.ts";
import { HiddenTail } from "./hidden-tail.ts";

/** Longer than fetched records take to be applied, even on a busy machine. */
export const LAG_MS_MIN = 2_000;

/** An end of the log, and when it was heard of. */
interface Heard {
  readonly offset: number;
  readonly heard_ms: number;
  /** When the log was asked for it, so that it was the end then or later. */
  readonly asked_ms: number;
}

/** A partition's end as the log tells it; see the port. */
interface Told {
  readonly endOffset: number;
  readonly stableOffset: number;
  /** Absent if it was asked for in this moment. */
  readonly asked_ms?: number | undefined;
}

/**
 * The end of a partition as the log told it, and since when what lies before it has been waiting to be applied.
 *
 * ```
 *  nothing told ──note()──▶ to be reached ──note() of a later end, once it is applied──▶ to be reached
 *      ▲◀──beginAnew()──────────┘
 * ```
 */
export class KnownEnd {
  endOffset = 0;
  /** An end that has to be reached before the next one is noted. */
  #goal: Heard | undefined;
  #newest: Heard | undefined;
  /** When the log was asked for the latest of the earlier ends that are applied. */
  #appliedAt_ms: number | undefined;
  /** The same, as it was known before the taking over. */
  #takenOver_ms: number | undefined;
  /** What another program's open transaction hides. */
  readonly hidden: HiddenTail;

  constructor(private readonly clock: Clock) {
    this.hidden = new HiddenTail(clock);
  }

  /** The end counts as no lower than `endOffset_min`. */
  note(told: Told, nextOffset: number, endOffset_min = 0): void {
    this.#appliedAt_ms = this.#askedAt_ms(nextOffset);
    const heard_ms = this.clock.now_ms();
    const heard = { offset: Math.max(told.endOffset, endOffset_min), heard_ms, asked_ms: told.asked_ms ?? heard_ms };
    this.endOffset = heard.offset;
    this.#newest = heard;
    if (this.#goal === undefined || nextOffset >= this.#goal.offset || heard.offset < this.#goal.offset) this.#goal = heard;
    this.hidden.note(told);
  }

  /** Forgets what was told. What is applied is `age_ms` old until more is known of it; undefined: nothing is known. */
  beginAnew(age_ms?: number): void {
    this.#goal = undefined;
    this.#newest = undefined;
    this.#appliedAt_ms = undefined;
    this.#takenOver_ms = age_ms === undefined ? undefined : this.clock.now_ms() - age_ms;
  }

  /** Notes that what was applied before may not be what the log has, or that its age is known anew. */
  forgetTakenOver(): void {
    this.#takenOver_ms = undefined;
  }

  /** Whether records that the log was known to have have not been applied for some time, or cannot be now. */
  isLagging(nextOffset: number, isThrottled: boolean): boolean {
    const goal = this.#goal;
    if (this.hidden.at(nextOffset) !== undefined) return true;
    if (goal === undefined || nextOffset >= goal.offset) return false;
    return isThrottled || this.clock.now_ms() - goal.heard_ms >= LAG_MS_MIN;
  }

  /**
   * For how long, at most, the log may have had records that are not applied: since it was last asked for an end that is
   * applied now. Undefined while it has told none that is. `isSound` says whether what is applied is what the log has.
   */
  age_ms(nextOffset: number, isSound: boolean): number | undefined {
    const since_ms = (isSound ? this.#askedAt_ms(nextOffset) : undefined) ?? this.#takenOver_ms;
    return since_ms === undefined ? undefined : this.clock.now_ms() - since_ms;
  }

  /** When the log was asked for the latest end that is applied. */
  #askedAt_ms(nextOffset: number): number | undefined {
    const reached = [this.#newest, this.#goal].find((end) => end !== undefined && nextOffset >= end.offset);
    return reached?.asked_ms ?? this.#appliedAt_ms;
  }
}
