import type { Clock } from "../clock.ts";

/** How often it is told that it still fails. */
const TELL_AGAIN_MS = 60_000;

/**
 * Follows something that is tried for as long as it takes: tells people when it begins to fail, with the cause, again each minute
 * while it does, and once when it works again.
 */
export class Outage {
  #since_ms: number | undefined;
  /** The same for people. */
  #since = "";
  #toldAt_ms = 0;
  #cause = "";

  constructor(
    private readonly what: string,
    private readonly clock: Clock,
    private readonly tell: (message: string) => void,
  ) {}

  get isUnderWay(): boolean {
    return this.#since_ms !== undefined;
  }

  /** Returns true where that is how it begins. */
  failed(e: unknown): boolean {
    this.#cause = e instanceof Error ? e.message : String(e);
    const now_ms = this.clock.now_ms();
    const isNew = this.#since_ms === undefined;
    if (!isNew && now_ms - this.#toldAt_ms < TELL_AGAIN_MS) return false;
    this.#toldAt_ms = now_ms;
    if (!isNew) {
      this.tell(`${this.what} still fails, since ${this.#since}: ${this.#cause}`);
      return false;
    }
    this.#since_ms = now_ms;
    this.#since = new Date(this.clock.wall_ms()).toISOString();
    this.tell(`${this.what} fails and is tried until it works: ${this.#cause}`);
    return true;
  }

  /** Returns how long it had failed before, 0 if it had not. */
  worked(): number {
    if (this.#since_ms === undefined) return 0;
    const lasted_ms = this.clock.now_ms() - this.#since_ms;
    this.#since_ms = undefined;
    this.tell(`${this.what} works again, after ${lasted_ms} ms.`);
    return lasted_ms;
  }

  /** A sentence with the latest cause, once it has failed for `failing_ms`. */
  lasting(failing_ms: number): string | undefined {
    const isLasting = this.#since_ms !== undefined && this.clock.now_ms() - this.#since_ms >= failing_ms;
    return isLasting ? `${this.what} fails since ${this.#since}: ${this.#cause}` : undefined;
  }
}
