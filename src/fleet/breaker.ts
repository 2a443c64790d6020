import type { Clock } from "../system/clock.ts";

/** So many hops in a row must have had no answer before the next ones are spared. */
export const FAILURES_MAX = 5;
/** A peer that answered nothing for less than this may only be slow. */
export const SILENCE_MS_MIN = 500;
/** How long nobody is sent to a peer that does not answer, before one hop tries it again. */
export const OPEN_MS = 1_000;

export type BreakerState = "closed" | "open" | "trying";

/**
 * Keeps requests from waiting for a peer that does not answer. One that is slow and still answers some is not spared:
 * where nobody else can answer, what needs it would fail, and the retries would keep it slow. It is our own since the
 * libraries for it take the real time, and a simulation has a time of its own.
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
  #answeredAt_ms = Number.NEGATIVE_INFINITY;
  /** When the first hop was sent of those that waited in vain, one soon after another, since the last answer. */
  #silentSince_ms = Number.POSITIVE_INFINITY;
  /** When the last of them stopped waiting. */
  #silentAt_ms = Number.NEGATIVE_INFINITY;
  #state: BreakerState = "closed";

  constructor(private readonly clock: Clock) {}

  get state(): BreakerState {
    return this.#state;
  }

  /** Whether a hop may be sent now; if so, `answered`, `silent` or `failed` must be called for it. */
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
    this.#answeredAt_ms = this.clock.now_ms();
    this.#silentSince_ms = Number.POSITIVE_INFINITY;
    this.#state = "closed";
    return wasOpen;
  }

  /**
   * Nothing came for a hop that was sent at `sentAt_ms`. Returns whether the peer is given up by this: it counts only if
   * the peer has answered nothing for SILENCE_MS_MIN.
   */
  silent(sentAt_ms: number): boolean {
    const now_ms = this.clock.now_ms();
    // A hop from before the last answer, or from before the peer was given up, says nothing of the time since.
    if (sentAt_ms <= this.#answeredAt_ms || (this.#state !== "closed" && sentAt_ms <= this.#openedAt_ms)) return false;
    // A time in which nobody asked is no silence.
    const isAnew = sentAt_ms - this.#silentAt_ms >= OPEN_MS;
    this.#silentSince_ms = isAnew ? sentAt_ms : Math.min(this.#silentSince_ms, sentAt_ms);
    this.#silentAt_ms = now_ms;
    if (this.#state === "trying" && now_ms - sentAt_ms < SILENCE_MS_MIN) {
      // The next one tries it at once.
      this.#state = "open";
      return false;
    }
    return now_ms - this.#silentSince_ms >= SILENCE_MS_MIN && this.failed();
  }

  /** The peer cannot be reached. Returns whether it is given up by this. */
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
