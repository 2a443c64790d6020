import type { Clock } from "../../system/clock.ts";
import type { ErrorCode } from "../../errors.ts";

/** How often people are told again while something fails. */
const TELL_AGAIN_MS = 60_000;

/** What fails, and since when on the wall clock. */
export interface Failure {
  readonly sentence: string;
  readonly since_ms: number;
}

interface Failing {
  readonly since_ms: number;
  /** `since_ms` on the wall clock. */
  readonly sinceWall_ms: number;
  /** The latest cause. */
  readonly cause: string;
  readonly toldAt_ms: number;
}

/**
 * Follows something that is tried for as long as it takes. Tells people when it begins to fail, with the cause, again
 * each minute while it fails, and once when it works again.
 *
 * ```
 *  working ──failed()──▶ failing, told again each minute ──worked()──▶ working, and told
 *                           └──forget()──▶ working, and nobody is told
 * ```
 */
export class Outage {
  /** Undefined while it works. */
  #failing: Failing | undefined;

  constructor(
    private readonly what: string,
    private readonly clock: Clock,
    private readonly onMessage: (message: string, isOver: boolean) => void,
    /** The catalogue's code, which begins a message about a failure but not the message that it works again. */
    private readonly code?: ErrorCode,
  ) {}

  get #named(): string {
    return this.code === undefined ? this.what : `${this.code}: ${this.what}`;
  }

  get isUnderWay(): boolean {
    return this.#failing !== undefined;
  }

  /** Notes a failure. Returns true if the outage begins with it. */
  failed(e: unknown): boolean {
    const cause = e instanceof Error ? e.message : String(e);
    const now_ms = this.clock.now_ms();
    const before = this.#failing;
    const isToldNow = before === undefined || now_ms - before.toldAt_ms >= TELL_AGAIN_MS;
    const { since_ms, sinceWall_ms } = before ?? { since_ms: now_ms, sinceWall_ms: this.clock.wall_ms() };
    this.#failing = { since_ms, sinceWall_ms, cause, toldAt_ms: isToldNow ? now_ms : before.toldAt_ms };
    if (isToldNow) this.onMessage(`${this.#named} fails and is tried until it works: ${cause}`, false);
    return before === undefined;
  }

  /** Ends the outage because nothing is tried any more. Nobody is told that it works. */
  forget(): void {
    this.#failing = undefined;
  }

  /** Notes that it works. Returns how long it had failed, in ms, or 0 if it had not. */
  worked(): number {
    if (this.#failing === undefined) return 0;
    const lasted_ms = this.clock.now_ms() - this.#failing.since_ms;
    this.#failing = undefined;
    this.onMessage(`${this.what} works again, after ${lasted_ms} ms.`, true);
    return lasted_ms;
  }

  /** A sentence with the latest cause, once it has failed for `failing_ms`. */
  lasting(failing_ms: number): string | undefined {
    return this.failure(failing_ms)?.sentence;
  }

  failure(failing_ms: number): Failure | undefined {
    const failing = this.#failing;
    if (failing === undefined || this.clock.now_ms() - failing.since_ms < failing_ms) return undefined;
    return { sentence: `${this.#named} fails: ${failing.cause}`, since_ms: failing.sinceWall_ms };
  }
}
