import { AppError } from "../errors.ts";

/** A client may take this share of the places that all share: behind a proxy all have one address, so it must leave them room. */
const CLIENT_SHARE = 0.5;

/** Of `places` that all clients share, how many one may take. */
export const clientShare = (places: number): number => Math.max(1, Math.floor(places * CLIENT_SHARE));

/** Places for work of one kind: a bound for all, and a lower one for each client, so that one client cannot take them all. */
export class Places {
  #taken = 0;
  readonly #ofClient = new Map<string, number>();

  /** `what` takes them, in the plural: `listings`. */
  constructor(
    readonly places_max: number,
    private readonly what: string,
  ) {}

  /** Gives what frees the place again; more than once does nothing more. Throws OVERLOADED. */
  take(client: string): () => void {
    const own = this.#ofClient.get(client) ?? 0;
    const own_max = clientShare(this.places_max);
    if (this.#taken >= this.places_max)
      throw new AppError("OVERLOADED", `${this.places_max} ${this.what} are under way already; try again soon.`);
    if (own >= own_max)
      throw new AppError("OVERLOADED", `${own_max} ${this.what} from your address are under way already; try again soon.`);
    this.#taken++;
    this.#ofClient.set(client, own + 1);
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      this.#taken--;
      const left = (this.#ofClient.get(client) ?? 1) - 1;
      if (left === 0) this.#ofClient.delete(client);
      else this.#ofClient.set(client, left);
    };
  }
}
