import type { Clock } from "../system/clock.ts";

/** So many hops in a row must have had no answer before the next ones are spared. */
export const FAILURES_MAX = 5;
/** How long nobody is sent to a peer that does not answer, before one hop tries it again. */
export const OPEN_MS = 1_000;

export type BreakerState = "closed" | "open" | "trying";

/**
 * Keeps requests from waiting for a peer that does not answer. It is our own since the libraries for it take the real
 * time, and a simulation has a time of its own.
 *
 * ```
 *  closed ──FAILURES_MAX hops in a row had no answer──▶ open ──OPEN_MS──▶ trying, by one hop
 *    ▲                                                   ▲                   │  │
 *    │                                                   └── no answer ──────┘  │
 *    └──────────────────────────── an answer ───────────────────────────────────┘
 * ```
 */
export class Breaker {
  #failures = 0;
  #openedAt_ms = 0;
  #state: BreakerState = "closed";

  constructor(private readonly clock: Clock) {}

  get state(): BreakerState {
    return this.#state;
  }

  /** Whether a hop may be sent now; if so, `answered` or `failed` must be called for it. */
  enter(): boolean {
    if (this.#state === "closed") return true;
    if (this.#state === "trying" || this.clock.now_ms() - this.#openedAt_ms < OPEN_MS) return false;
    this.#state = "trying";
    return true;
  }

  /** Returns whether the peer had been given up before. */
  answered(): boolean {
    const wasOpen = this.#state !== "closed";
    this.#failures = 0;
    this.#state = "closed";
    return wasOpen;
  }

  /** Returns whether the peer is given up by this. */
  failed(): boolean {
    const wasClosed = this.#state === "closed";
    // It was sent before the others gave up.
    if (this.#state === "open") return false;
    this.#failures++;
    if (wasClosed && this.#failures < FAILURES_MAX) return false;
    this.#state = "open";
    this.#openedAt_ms = this.clock.now_ms();
    return wasClosed;
  }
}
