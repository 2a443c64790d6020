import type { Clock } from "../system/clock.ts";
import { AppError } from "../errors.ts";
import { clientShare } from "./permits.ts";

/** How long a body may take to arrive. A body of 64 KiB then needs 52 kbit/s. */
export const BODY_WAIT_MS_MAX = 10_000;
const LOOK_WAIT_MS = 1_000;

interface Unread {
  readonly client: string;
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
  readonly #ofClient = new Map<string, Set<Unread>>();
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
  async arrived<T>(client: string, reading: Promise<T>): Promise<T> {
    // `reading` fails when the connection ends, which may be after the body was cut off.
    reading.catch(() => undefined);
    const cut = Promise.withResolvers<never>();
    const unread: Unread = { client, since_ms: this.clock.now_ms(), cut: cut.reject };
    this.#makeRoom(client);
    this.#add(unread);
    try {
      return await Promise.race([reading, cut.promise]);
    } finally {
      this.#remove(unread);
    }
  }

  /** Stops waiting for bodies. */
  close(): void {
    for (const unread of this.#all)
      this.#cut(unread, new AppError("SHUTTING_DOWN", "The service is stopping; ask another instance, or this one again soon."));
  }

  #makeRoom(client: string): void {
    const own = this.#ofClient.get(client);
    if (own && own.size >= clientShare(this.bodies_max)) return this.#displaceOldest(own);
    if (this.#all.size < this.bodies_max) return;
    let most = own ?? this.#all;
    for (const each of this.#ofClient.values()) if (most === this.#all || each.size > most.size) most = each;
    this.#displaceOldest(most);
  }

  #displaceOldest(of: ReadonlySet<Unread>): void {
    for (const oldest of of) {
      const message = "The body was not there yet when others needed its place; send the request again, and its body at once.";
      return this.#cut(oldest, new AppError("BODY_TOO_SLOW", message));
    }
  }

  #add(unread: Unread): void {
    this.#all.add(unread);
    const own = this.#ofClient.get(unread.client);
    if (own) own.add(unread);
    else this.#ofClient.set(unread.client, new Set([unread]));
    if (!this.#isWatching) void this.#watch();
  }

  #remove(unread: Unread): void {
    this.#all.delete(unread);
    const own = this.#ofClient.get(unread.client);
    own?.delete(unread);
    if (own?.size === 0) this.#ofClient.delete(unread.client);
  }

  #cut(unread: Unread, error: AppError): void {
    this.#remove(unread);
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
