import type { Clock } from "../../system/clock.ts";
import type { Log } from "../../log/port.ts";
import { LOOK_WAIT_MS } from "../topics/topic-watch.ts";

/** The largest append, if the topic takes as much. An append is held in memory and is one transaction. */
export const APPEND_BYTES_MAX = 512 * 1024;

/**
 * The largest batch and the largest letter that the dead-letter topic takes, as it says itself or as its refusals
 * show. Both are checked again while letters go there, since anybody may raise or lower the limit.
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

  /**
   * Asks the topic again. What was learned from refusals holds until the topic says something else, or for
   * LOOK_WAIT_MS.
   */
  async look(): Promise<void> {
    const { log, deadLetterTopic, clock } = this.options;
    const description = await log.describe(deadLetterTopic).catch(() => undefined);
    const said = Number(description?.settings["max.message.bytes"]);
    // Without the right to ask, only a refusal shows what the topic takes.
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
