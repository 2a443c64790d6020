/** `wasComplete`: everything was known that the partition held when it was last heard of. */
type State =
  | { readonly is: "end-unknown"; readonly wasComplete: boolean }
  | { readonly is: "catching-up"; readonly end: number; readonly wasComplete: boolean }
  | { readonly is: "running" };

/**
 * Whether everything is applied that the partition held when its end was heard of. An end that is heard of later moves
 * that one only down: what comes meanwhile is not waited for.
 *
 * ```
 *  end-unknown ──hear()──▶ catching-up ──reach() with its end applied──▶ running
 *       ▲◀────forgetEnd()──────┴────────────────────────────────────────────┘
 * ```
 */
export class CatchUp {
  #state: State = { is: "end-unknown", wasComplete: false };

  get isRunning(): boolean {
    return this.#state.is === "running";
  }

  get wasComplete(): boolean {
    return this.#state.is === "running" || this.#state.wasComplete;
  }

  /** How many records lie before the end that is to be reached; 0 once it is. */
  behind(nextOffset: number): number {
    return this.#state.is === "catching-up" ? Math.max(0, this.#state.end - nextOffset) : 0;
  }

  /**
   * What can be read ends at `stableOffset`. A leader that lacks what another one had ends before what was heard of
   * that one; an old leader that does not know it yet tells nothing new. What an open transaction hides nobody can
   * read, however long that takes: it is not waited for.
   */
  hear(stableOffset: number, nextOffset: number, isOldLeader: boolean): void {
    const state = this.#state;
    if (state.is === "running") return;
    const goal = state.is === "catching-up" ? state.end : stableOffset;
    const end = isOldLeader ? goal : Math.min(goal, stableOffset);
    this.#state = { is: "catching-up", end, wasComplete: state.wasComplete && end <= nextOffset };
  }

  /** Everything before `nextOffset` is applied, and known to be what the log has. */
  reach(nextOffset: number): void {
    if (this.#state.is === "catching-up" && nextOffset >= this.#state.end) this.#state = { is: "running" };
  }

  /** It is caught up with once it has reached the end that it hears of next. */
  forgetEnd(): void {
    this.#state = { is: "end-unknown", wasComplete: this.wasComplete };
  }

  /** The log tells no end now. As long as none was heard of, what is applied already is taken for all. */
  takeAppliedForAll(): void {
    if (this.#state.is === "end-unknown") this.#state = { is: "end-unknown", wasComplete: true };
  }
}
