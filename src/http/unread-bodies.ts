import type { Clock } from "../system/clock.ts";
import { AppError } from "../errors.ts";
import { clientShare } from "./permits.ts";

/** How long a body may take to arrive. A body of 64 KiB then needs 52 kbit/s. */
export const BODY_WAIT_MS_MAX = 10_000;
const LOOK_WAIT_MS = 1_000;

/** Whom a body is from. The client is asked for only where there are so many bodies that it matters. */
export interface Sender {
  readonly client: string;
}

interface Unread {
  readonly sender: Sender;
  readonly since_ms: number;
  cut(error: AppError): void;
}

/**
 * Bodies that have not fully arrived. They do not count among the requests in flight, since nothing is done for them.
 * They have a bound of their own, and one for each client. A new body beyond the bound displaces the oldest one of the
 * client that has the most, so that a body which arrives at once is read however many slow ones there are.
 *
 * ```
 *  arrived() ─▶ unread ──all is there──▶ (none)
 *                 └─ BODY_WAIT_MS_MAX, displaced, close() ─▶ cut off: BODY_TOO_SLOW or SHUTTING_DOWN
 * ```
 */
export class UnreadBodies {
  /** All unread bodies, in the order they came. */
  readonly #all = new Set<Unread>();
  #isWatching = false;

  constructor(
    readonly bodies_max: number,
    private readonly clock: Clock,
  ) {}

  get bodies(): number {
    return this.#all.size;
  }

  /**
   * Resolves with what `reading` gives. Rejects with BODY_TOO_SLOW if that takes too long, and leaves `reading` alone
   * then.
   */
  arrived<T>(sender: Sender, reading: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const unread: Unread = { sender, since_ms: this.clock.now_ms(), cut: reject };
      this.#makeRoom(sender);
      this.#all.add(unread);
      if (!this.#isWatching) void this.#watch();
      const isOver = () => void this.#all.delete(unread);
      reading.then(isOver, isOver);
      // It fails when the connection ends, which may be after the body was cut off.
      reading.then(resolve, reject);
    });
  }

  /** Stops waiting for bodies. */
  close(): void {
    for (const unread of this.#all)
      this.#cut(unread, new AppError("SHUTTING_DOWN", "The service is stopping; ask another instance, or this one again soon."));
  }

  #makeRoom(sender: Sender): void {
    const share = clientShare(this.bodies_max);
    if (this.#all.size < share) return;
    const ofClient = new Map<string, Unread[]>();
    for (const unread of this.#all) {
      const own = ofClient.get(unread.sender.client);
      if (own) own.push(unread);
      else ofClient.set(unread.sender.client, [unread]);
    }
    const own = ofClient.get(sender.client) ?? [];
    if (own.length >= share) return this.#displaceOldest(own);
    if (this.#all.size < this.bodies_max) return;
    let most = own;
    for (const each of ofClient.values()) if (each.length > most.length) most = each;
    this.#displaceOldest(most);
  }

  #displaceOldest([oldest]: readonly Unread[]): void {
    const message = "The body was not there yet when others needed its place; send the request again, and its body at once.";
    if (oldest) this.#cut(oldest, new AppError("BODY_TOO_SLOW", message));
  }

  #cut(unread: Unread, error: AppError): void {
    this.#all.delete(unread);
    unread.cut(error);
  }

  async #watch(): Promise<void> {
    this.#isWatching = true;
    while (this.#all.size > 0) {
      await this.clock.sleep(LOOK_WAIT_MS);
      const before_ms = this.clock.now_ms() - BODY_WAIT_MS_MAX;
      for (const unread of this.#all) {
        if (unread.since_ms > before_ms) break;
        const message = `The body was not there after ${BODY_WAIT_MS_MAX / 1_000} s; send the request again, and its body at once.`;
        this.#cut(unread, new AppError("BODY_TOO_SLOW", message));
      }
    }
    this.#isWatching = false;
  }
}
