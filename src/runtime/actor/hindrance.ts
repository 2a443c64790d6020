import type { Clock } from "../../system/clock.ts";
import { Outage } from "../read/outage.ts";

/** Dead letters that take longer block their partition, whatever the reason. */
export const DELIVERY_MS_MAX = 2_000;
/**
 * Once reading has failed for this long, what is held is taken to be incomplete, since nobody knows how far the log
 * has grown. A change of leader is over sooner.
 */
export const READ_FAILING_MS_MAX = 2_000;

/**
 * What keeps a partition from going on although it will go on by itself: its store, its dead letters or the log.
 * Several of them may do so at the same time.
 *
 * ```
 *  store:    working ──storeFailed()──▶ failing: suspended ──storeWorked()──▶ working
 *  letters:  none ──whileDelivering()──▶ delivering, blocked once that fails or takes long ──▶ none
 *  log:      readable ──unreadable(), or unavailable is set──▶ unreadable ──readable()──▶ readable
 * ```
 */
export class Hindrance {
  readonly #store: Outage;
  readonly #letters: Outage;
  #deliveringSince_ms: number | undefined;
  /**
   * Since when the records read may not be what the log has. `unavailable` says why the log does not give the
   * partition, if that is the cause.
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

  /** Why the partition's store or dead letters hinder it: a sentence. */
  get own(): string | undefined {
    const why = this.#store.lasting(0) ?? this.#letters.lasting(0);
    return why ?? (this.#isBlocked ? `Appending its dead letters takes longer than ${DELIVERY_MS_MAX / 1_000} s.` : undefined);
  }

  /** Since when the partition has been hindered, on the wall clock; undefined while nothing hinders it. */
  get since_ms(): number | undefined {
    const failure = this.#store.failure(0) ?? this.#letters.failure(0);
    const since_ms = (this.#isBlocked ? this.#deliveringSince_ms : undefined) ?? this.unreadableSince_ms;
    if (failure !== undefined || since_ms === undefined) return failure?.since_ms;
    return this.clock.wall_ms() - (this.clock.now_ms() - since_ms);
  }

  /** Returns true if the store had worked until now. */
  storeFailed(why: string): boolean {
    return this.#store.failed(why);
  }

  /** Returns true if the store had failed until now. */
  storeWorked(): boolean {
    const failed = this.#store.isUnderWay;
    this.#store.worked();
    return failed;
  }

  /**
   * Runs `deliver`, which appends dead letters. The partition is blocked while that fails or takes long. Resolves with
   * whether it was blocked.
   */
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

  /** Why the log does not give the partition: a sentence. */
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
   * Notes that the records read are what the log has. Returns true if that was unknown for so long that the log may
   * have grown.
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
