/** `wasComplete` says whether everything was applied that the partition was last known to hold. */
type State =
  | { readonly is: "end-unknown"; readonly wasComplete: boolean }
  | { readonly is: "catching-up"; readonly end: number; readonly wasComplete: boolean }
  | { readonly is: "running" };

/**
 * Tells whether everything is applied that the partition held when its end was first heard of. An end that is heard of
 * later can only lower that goal: records that arrive meanwhile are not waited for.
 *
 * ```
 *  end-unknown ──hear()──▶ catching-up ──reach() with its end applied──▶ running
 *       ▲◀────forgetEnd(), beginAnew()──────┴───────────────────────────────┘
 * ```
 */
export class CatchUp {
  #state: State = { is: "end-unknown", wasComplete: false };
  /** Whether the end was reached at some time. */
  hasBeenReached = false;

  get isRunning(): boolean {
    return this.#state.is === "running";
  }

  get wasComplete(): boolean {
    return this.#state.is === "running" || this.#state.wasComplete;
  }

  /** How many records lie before the end that has to be reached; 0 once it is reached. */
  behind(nextOffset: number): number {
    return this.#state.is === "catching-up" ? Math.max(0, this.#state.end - nextOffset) : 0;
  }

  /**
   * Takes the end of what can be read, `stableOffset`. A new leader that lacks records of the one before it reports an
   * earlier end, which counts; an old leader that does not know yet that it was replaced tells nothing new. What an
   * open transaction hides is not waited for, since nobody can read it, however long that takes.
   */
  hear(stableOffset: number, nextOffset: number, isOldLeader: boolean): void {
    const state = this.#state;
    if (state.is === "running") return;
    const goal = state.is === "catching-up" ? state.end : stableOffset;
    const end = isOldLeader ? goal : Math.min(goal, stableOffset);
    this.#state = { is: "catching-up", end, wasComplete: state.wasComplete && end <= nextOffset };
  }

  /** Notes that everything before `nextOffset` is applied, and is known to be what the log has. */
  reach(nextOffset: number): void {
    if (this.#state.is === "catching-up" && nextOffset >= this.#state.end) {
      this.#state = { is: "running" };
      this.hasBeenReached = true;
    }
  }

  /** Forgets the end, and that one was ever reached. */
  beginAnew(): void {
    this.#state = { is: "end-unknown", wasComplete: false };
    this.hasBeenReached = false;
  }

  /** Forgets the end: the partition has caught up once it reaches the end that is heard of next. */
  forgetEnd(): void {
    this.#state = { is: "end-unknown", wasComplete: this.wasComplete };
  }

  /**
   * Notes that the log tells no end now. If none was heard of before, what is already applied is taken to be
   * everything.
   */
  takeAppliedForAll(): void {
    if (this.#state.is === "end-unknown") this.#state = { is: "end-unknown", wasComplete: true };
  }
}
