import type { Clock } from "../system/clock.ts";
import type { Logger } from "../telemetry/logger.ts";

/** A warning is told again only after this time. */
const TOLD_AGAIN_MS = 60_000;
const MESSAGES_MAX = 100;

/** Warnings that each of many requests gives cause for, told once a minute. */
export class RareWarnings {
  readonly #toldAt_ms = new Map<string, number>();

  constructor(
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  tell(message: string): void {
    const now_ms = this.clock.now_ms();
    if (now_ms - (this.#toldAt_ms.get(message) ?? Number.NEGATIVE_INFINITY) < TOLD_AGAIN_MS) return;
    if (this.#toldAt_ms.size >= MESSAGES_MAX) this.#toldAt_ms.clear();
    this.#toldAt_ms.set(message, now_ms);
    this.logger.warn(`${message} This is told once a minute.`);
  }
}
