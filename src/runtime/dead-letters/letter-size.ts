import type { Clock } from "../../system/clock.ts";
import type { Log } from "../../log/port.ts";
import { LOOK_WAIT_MS } from "../topics/topic-watch.ts";

/** One append stays below it, where the topic takes as much: it is held in memory, and is one transaction. */
export const APPEND_BYTES_MAX = 512 * 1024;

/**
 * What the dead-letter topic takes of one batch and of one letter, as it says itself or as is learned from what it
 * refuses. Both are looked at again while letters go there, since anybody may raise or lower it.
 */
export class LetterSize {
  append_bytes_max = APPEND_BYTES_MAX;
  letter_bytes_max = Number.POSITIVE_INFINITY;
  #told_bytes: number | undefined;
  #begunAt_ms = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: { readonly log: Log; readonly deadLetterTopic: string; readonly clock: Clock }) {}

  async lookIfDue(): Promise<void> {
    if (this.#isDue) await this.look();
  }

  /** What was learned from refusals holds until the topic says something else, or for LOOK_WAIT_MS. */
  async look(): Promise<void> {
    const { log, deadLetterTopic, clock } = this.options;
    const description = await log.describe(deadLetterTopic).catch(() => undefined);
    const said = Number(description?.settings["max.message.bytes"]);
    // Without the right to ask, what the topic takes shows when it is given it.
    const told_bytes = description === undefined ? this.#told_bytes : said > 0 ? said : undefined;
    if (told_bytes === this.#told_bytes && !this.#isDue) return;
    this.#told_bytes = told_bytes;
    this.#begunAt_ms = clock.now_ms();
    this.append_bytes_max = Math.min(APPEND_BYTES_MAX, told_bytes ?? APPEND_BYTES_MAX);
    this.letter_bytes_max = told_bytes ?? Number.POSITIVE_INFINITY;
  }

  get #isDue(): boolean {
    return this.options.clock.now_ms() - this.#begunAt_ms >= LOOK_WAIT_MS;
  }
}
