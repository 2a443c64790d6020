import type { Clock } from "../clock.ts";

/**
 * Follows something that is tried for as long as it takes: tells people once when it begins to fail, with the cause, and once
 * when it works again.
 */
export class Outage {
  #since_ms: number | undefined;
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
    if (this.#since_ms !== undefined) return false;
    this.#since_ms = this.clock.now_ms();
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
    return isLasting ? `${this.what} fails: ${this.#cause}` : undefined;
  }
}
