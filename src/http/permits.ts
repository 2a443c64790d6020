import { AppError } from "../errors.ts";

/**
 * The share of all permits that one client may hold. It has to be large, because all clients behind a proxy have one
 * address.
 */
const CLIENT_SHARE = 0.5;

/** How many of the `permits` that all clients share one client may hold. */
export const clientShare = (permits: number): number => Math.max(1, Math.floor(permits * CLIENT_SHARE));

/**
 * A semaphore for work of one kind. It has a bound for all clients and a lower one for each, so that one client cannot
 * hold all permits. It refuses instead of making anybody wait.
 */
export class Permits {
  #held = 0;
  readonly #ofClient = new Map<string, number>();

  /** `what` names the work in the plural, such as "listings". */
  constructor(
    readonly permits_max: number,
    private readonly what: string,
  ) {}

  /** How many permits are held, by all clients. */
  get held(): number {
    return this.#held;
  }

  /** Runs the work under a permit. Rejects with OVERLOADED if there is none. */
  async run<T>(client: string, work: () => Promise<T>): Promise<T> {
    const release = this.acquire(client);
    try {
      return await work();
    } finally {
      release();
    }
  }

  /** Returns a function that releases the permit; calling it again does nothing. Throws OVERLOADED. */
  acquire(client: string): () => void {
    const own = this.#ofClient.get(client) ?? 0;
    const own_max = clientShare(this.permits_max);
    if (this.#held >= this.permits_max)
      throw new AppError("OVERLOADED", `${this.permits_max} ${this.what} are under way already; try again soon.`);
    if (own >= own_max)
      throw new AppError("OVERLOADED", `${own_max} ${this.what} from your address are under way already; try again soon.`);
    this.#held++;
    this.#ofClient.set(client, own + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#held--;
      const left = (this.#ofClient.get(client) ?? 1) - 1;
      if (left === 0) this.#ofClient.delete(client);
      else this.#ofClient.set(client, left);
    };
  }
}
