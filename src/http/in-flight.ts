import { AppError } from "../errors.ts";
import type { RequestSpan } from "../telemetry/tracer.ts";
import { Permits } from "./permits.ts";

/** The share of all requests that may be waiting. */
const WAITING_SHARE = 0.5;

/** Who waits: a request, as a rule. */
export interface Asker {
  /** The client that it counts for. */
  readonly client: string;
  readonly span?: RequestSpan | undefined;
  /** Aborts when the client hangs up. */
  readonly leaving?: AbortSignal;
}

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

  /** Permits for the requests that only wait for events to be applied. They leave room for requests that do work. */
  readonly waiting: Permits;

  constructor(readonly requests_max: number) {
    this.waiting = new Permits(
      Math.max(1, Math.floor(requests_max * WAITING_SHARE)),
      "requests that wait for their Log-Position or the log's end",
    );
  }

  get requests(): number {
    return this.#requests;
  }

  /** Resolves when the service begins to stop. */
  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  /** Throws OVERLOADED or SHUTTING_DOWN if `enter` would. */
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
