import { AppError } from "../errors.ts";

/** A client may hold this share of the permits that all share: behind a proxy all have one address, so it must leave them room. */
const CLIENT_SHARE = 0.5;

/** Of `permits` that all clients share, how many one may hold. */
export const clientShare = (permits: number): number => Math.max(1, Math.floor(permits * CLIENT_SHARE));

/**
 * A semaphore for work of one kind: a bound for all, and a lower one for each client, so that one client cannot hold all permits. It
 * refuses in place of making anybody wait.
 */
export class Permits {
  #held = 0;
  readonly #ofClient = new Map<string, number>();

  /** `what` needs them, in the plural: `listings`. */
  constructor(
    readonly permits_max: number,
    private readonly what: string,
  ) {}

  /** Gives what releases the permit again; more than once does nothing more. Throws OVERLOADED. */
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
