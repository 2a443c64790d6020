import { AppError } from "../errors.ts";
import { Permits } from "./permits.ts";

/** Of all requests. */
const WAITING_SHARE = 0.5;

/**
 * Counts the requests being answered and refuses those beyond the bound, and all of them once the service stops.
 *
 * ```
 *  open ──▶ stopping (new requests get SHUTTING_DOWN, those inside finish)
 * ```
 */
export class InFlight {
  #requests = 0;
  readonly #stopped = Promise.withResolvers<void>();
  #stopping = false;

  /** For those of them that only wait, for an event to be applied; so that there is always room for work. */
  readonly waiting: Permits;

  constructor(readonly requests_max: number) {
    this.waiting = new Permits(
      Math.max(1, Math.floor(requests_max * WAITING_SHARE)),
      "requests that wait for their Log-Position",
    );
  }

  get requests(): number {
    return this.#requests;
  }

  /** Resolves when the service begins to stop. */
  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  /** Throws OVERLOADED or SHUTTING_DOWN where `enter` would. */
  requireRoom(): void {
    if (this.#stopping)
      throw new AppError("SHUTTING_DOWN", "The service is stopping; ask another instance, or this one again soon.");
    if (this.#requests >= this.requests_max) {
      throw new AppError("OVERLOADED", `${this.requests_max} requests are being answered already; try again soon.`);
    }
  }

  /** Each `enter` that did not throw is followed by exactly one `leave`. Throws OVERLOADED or SHUTTING_DOWN. */
  enter(): void {
    this.requireRoom();
    this.#requests++;
  }

  leave(): void {
    this.#requests--;
  }

  stop(): void {
    this.#stopping = true;
    this.#stopped.resolve();
  }
}
