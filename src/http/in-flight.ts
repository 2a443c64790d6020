import { AppError } from "../errors.ts";

/**
 * Counts the requests being answered and refuses those beyond the bound, and all of them once the service stops.
 *
 * ```
 *  open ──▶ stopping (new requests get SHUTTING_DOWN, those inside finish)
 * ```
 */
export class InFlight {
  #requests = 0;
  #stopping = false;

  constructor(readonly requests_max: number) {}

  get requests(): number {
    return this.#requests;
  }

  /** Each `enter` that did not throw is followed by exactly one `leave`. Throws OVERLOADED or SHUTTING_DOWN. */
  enter(): void {
    if (this.#stopping)
      throw new AppError("SHUTTING_DOWN", "The service is stopping; ask another instance, or this one again soon.");
    if (this.#requests >= this.requests_max) {
      throw new AppError("OVERLOADED", `${this.requests_max} requests are being answered already; try again soon.`);
    }
    this.#requests++;
  }

  leave(): void {
    this.#requests--;
  }

  stop(): void {
    this.#stopping = true;
  }
}
