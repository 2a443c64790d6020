import type { Clock } from "../../system/clock.ts";
import type { AppError } from "../../errors.ts";

/** How long a cause is not repeated after it was reported, and how long the latest one is shown. */
const TELL_AGAIN_MS = 60_000;
/** The most causes that are reported in a minute. */
const CAUSES_MAX = 20;

/**
 * What the log refuses or does not take in time, for people. Each cause is reported once a minute, and the latest one
 * is shown for a minute.
 */
export class Refusals {
  readonly #toldAt_ms = new Map<string, number>();
  #latest: { readonly message: string; readonly at_ms: number } | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly onWarning: (message: string) => void,
  ) {}

  /** A sentence on the latest refusal, unless it is older than a minute. */
  get latest(): string | undefined {
    const latest = this.#latest;
    return latest && this.clock.now_ms() - latest.at_ms < TELL_AGAIN_MS ? latest.message : undefined;
  }

  note({ code, message }: AppError): void {
    const now_ms = this.clock.now_ms();
    this.#latest = { message, at_ms: now_ms };
    // Sizes and times in the message differ from event to event.
    const cause = `${code} ${message.replaceAll(/\d+/g, "#")}`;
    const toldAt_ms = this.#toldAt_ms.get(cause);
    if (toldAt_ms !== undefined && now_ms - toldAt_ms < TELL_AGAIN_MS) return;
    for (const [earlier, at_ms] of this.#toldAt_ms) if (now_ms - at_ms >= TELL_AGAIN_MS) this.#toldAt_ms.delete(earlier);
    if (this.#toldAt_ms.size >= CAUSES_MAX) return;
    this.#toldAt_ms.set(cause, now_ms);
    this.onWarning(`${code}: ${message}`);
  }
}
