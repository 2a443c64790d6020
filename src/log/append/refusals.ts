import type { Clock } from "../../system/clock.ts";
import type { AppError } from "../../errors.ts";

/** How often one cause is told again, and for how long the latest one is shown after it. */
const TELL_AGAIN_MS = 60_000;
/** No more are told in a minute. */
const CAUSES_MAX = 20;

/** What the log refuses, or does not take in time, for people: each cause is told once a minute, the latest is shown for as long. */
export class Refusals {
  readonly #toldAt_ms = new Map<string, number>();
  #latest: { readonly message: string; readonly at_ms: number } | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly onWarning: (message: string) => void,
  ) {}

  /** A sentence, while a refusal is not older than a minute. */
  get latest(): string | undefined {
    const latest = this.#latest;
    return latest && this.clock.now_ms() - latest.at_ms < TELL_AGAIN_MS ? latest.message : undefined;
  }

  note({ code, message }: AppError): void {
    const now_ms = this.clock.now_ms();
    this.#latest = { message, at_ms: now_ms };
    // Sizes and times in it differ from event to event.
    const cause = `${code} ${message.replaceAll(/\d+/g, "#")}`;
    const toldAt_ms = this.#toldAt_ms.get(cause);
    if (toldAt_ms !== undefined && now_ms - toldAt_ms < TELL_AGAIN_MS) return;
    for (const [earlier, at_ms] of this.#toldAt_ms) if (now_ms - at_ms >= TELL_AGAIN_MS) this.#toldAt_ms.delete(earlier);
    if (this.#toldAt_ms.size >= CAUSES_MAX) return;
    this.#toldAt_ms.set(cause, now_ms);
    this.onWarning(`${code}: ${message}`);
  }
}
