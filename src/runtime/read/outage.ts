import type { Clock } from "../../system/clock.ts";
import type { ErrorCode } from "../../errors.ts";

/** While something fails, people are told again after so long. */
const TELL_AGAIN_MS = 60_000;

/** What fails, and since when on the wall clock. */
export interface Failure {
  readonly sentence: string;
  readonly since_ms: number;
}

/**
 * Follows something that is tried for as long as it takes: tells people when it begins to fail, with the cause, again each minute
 * while it does, and once when it works again.
 */
export class Outage {
  #since_ms: number | undefined;
  #sinceWall_ms = 0;
  #toldAt_ms = 0;
  #cause = "";

  constructor(
    private readonly what: string,
    private readonly clock: Clock,
    private readonly tell: (message: string, isOver: boolean) => void,
    /** Of the catalogue, before what is told while it fails, and not before what is told when it works. */
    private readonly code?: ErrorCode,
  ) {}

  get #named(): string {
    return this.code === undefined ? this.what : `${this.code}: ${this.what}`;
  }

  get isUnderWay(): boolean {
    return this.#since_ms !== undefined;
  }

  /** Returns true where that is how it begins. */
  failed(e: unknown): boolean {
    this.#cause = e instanceof Error ? e.message : String(e);
    const now_ms = this.clock.now_ms();
    const begins = this.#since_ms === undefined;
    if (begins) {
      this.#since_ms = now_ms;
      this.#sinceWall_ms = this.clock.wall_ms();
    }
    if (begins || now_ms - this.#toldAt_ms >= TELL_AGAIN_MS) {
      this.#toldAt_ms = now_ms;
      this.tell(`${this.#named} fails and is tried until it works: ${this.#cause}`, false);
    }
    return begins;
  }

  /** It is not tried any more, and nobody is told that it works. */
  forget(): void {
    this.#since_ms = undefined;
  }

  /** Returns how long it had failed before, 0 if it had not. */
  worked(): number {
    if (this.#since_ms === undefined) return 0;
    const lasted_ms = this.clock.now_ms() - this.#since_ms;
    this.#since_ms = undefined;
    this.tell(`${this.what} works again, after ${lasted_ms} ms.`, true);
    return lasted_ms;
  }

  /** A sentence with the latest cause, once it has failed for `failing_ms`. */
  lasting(failing_ms: number): string | undefined {
    return this.failure(failing_ms)?.sentence;
  }

  failure(failing_ms: number): Failure | undefined {
    const isLasting = this.#since_ms !== undefined && this.clock.now_ms() - this.#since_ms >= failing_ms;
    return isLasting ? { sentence: `${this.#named} fails: ${this.#cause}`, since_ms: this.#sinceWall_ms } : undefined;
  }
}
