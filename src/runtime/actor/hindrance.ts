import type { Clock } from "../../system/clock.ts";
import { Outage } from "../read/outage.ts";

/** Dead letters that take longer block their partition, whatever the reason. */
export const DELIVERY_MS_MAX = 2_000;
/**
 * Once reading has failed for so long, what is held is taken for incomplete, since nobody knows how far the log has
 * grown. A change of leaders is over sooner.
 */
export const READ_FAILING_MS_MAX = 2_000;

/**
 * What keeps a partition from going on, though it will go on by itself: its store, its dead letters, the log. Each
 * may, at the same time.
 */
export class Hindrance {
  readonly #store: Outage;
  readonly #letters: Outage;
  #deliveringSince_ms: number | undefined;
  /**
   * Since when what is read may not be what the log has; `unavailable` where the log does not give the partition, and
   * why.
   */
  #unreadable: { readonly since_ms: number; readonly unavailable: string | undefined } | undefined;

  constructor(
    private readonly clock: Clock,
    onMessage: (message: string, isOver: boolean) => void,
  ) {
    this.#store = new Outage("Its store", clock, onMessage, "STORE_FAILED");
    this.#letters = new Outage("Appending its dead letters", clock, onMessage);
  }

  get state(): "suspended" | "blocked" | undefined {
    return this.#store.isUnderWay ? "suspended" : this.#isBlocked ? "blocked" : undefined;
  }

  /** Of the partition's own: a sentence. */
  get own(): string | undefined {
    const why = this.#store.lasting(0) ?? this.#letters.lasting(0);
    return why ?? (this.#isBlocked ? `Appending its dead letters takes longer than ${DELIVERY_MS_MAX / 1_000} s.` : undefined);
  }

  /** Since when it keeps the partition from going on, on the wall clock; undefined where nothing does. */
  get since_ms(): number | undefined {
    const failure = this.#store.failure(0) ?? this.#letters.failure(0);
    const since_ms = (this.#isBlocked ? this.#deliveringSince_ms : undefined) ?? this.unreadableSince_ms;
    if (failure !== undefined || since_ms === undefined) return failure?.since_ms;
    return this.clock.wall_ms() - (this.clock.now_ms() - since_ms);
  }

  /** Returns true where it failed for the first time. */
  storeFailed(why: string): boolean {
    return this.#store.failed(why);
  }

  /** Returns true where it had failed. */
  storeWorked(): boolean {
    const failed = this.#store.isUnderWay;
    this.#store.worked();
    return failed;
  }

  /** Has dead letters delivered, which blocks the partition where it takes long. Resolves with whether it did. */
  async whileDelivering(deliver: (onFailed: (e: unknown) => void) => Promise<void> | undefined): Promise<boolean> {
    this.#deliveringSince_ms = this.clock.now_ms();
    let wasBlocked = false;
    try {
      await deliver((e) => void this.#letters.failed(e));
    } finally {
      wasBlocked = this.#isBlocked;
      this.#letters.worked();
      this.#deliveringSince_ms = undefined;
    }
    return wasBlocked;
  }

  /** Why the log does not give the partition; a sentence. */
  get unavailable(): string | undefined {
    return this.#unreadable?.unavailable;
  }

  set unavailable(why: string | undefined) {
    if (why === undefined && this.#unreadable === undefined) return;
    this.#unreadable = { since_ms: this.#unreadable?.since_ms ?? this.clock.now_ms(), unavailable: why };
  }

  get unreadableSince_ms(): number | undefined {
    return this.#unreadable?.since_ms;
  }

  unreadable(): void {
    this.#unreadable ??= { since_ms: this.clock.now_ms(), unavailable: undefined };
  }

  /**
   * What was read is what the log has. Returns true where that was not known for so long that the log may have grown.
   */
  readable(): boolean {
    if (this.#unreadable === undefined || this.#unreadable.unavailable !== undefined) return false;
    const lasted_ms = this.clock.now_ms() - this.#unreadable.since_ms;
    this.#unreadable = undefined;
    return lasted_ms >= READ_FAILING_MS_MAX;
  }

  get #isBlocked(): boolean {
    if (this.#letters.isUnderWay) return true;
    return this.#deliveringSince_ms !== undefined && this.clock.now_ms() - this.#deliveringSince_ms >= DELIVERY_MS_MAX;
  }
}
