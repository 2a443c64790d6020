import type { Clock } from "../../system/clock.ts";
import { Backoff, type BackoffLimits } from "../../log/backoff.ts";
import type { Log, TopicEnds } from "../../log/port.ts";
import type { Random } from "../../system/random.ts";
import type { Outage } from "./outage.ts";

/** Somebody who needs the log's ends. */
export interface Asker<Question> {
  readonly question: Question;
  /** Returns false if the answer was of no use and the log has to be asked again. */
  hear(asked: Question, ends: TopicEnds): boolean;
}

export interface EndsInquiryOptions {
  readonly log: Log;
  readonly topic: string;
  readonly outage: Outage;
  /** Called after each answer. */
  readonly onHeard: () => void;
  readonly backoff: BackoffLimits;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Asks the log for its ends on behalf of those who need them, until each has heard them. One question serves all who
 * are waiting at the time.
 *
 * ```
 *  idle ──ask()──▶ asking ──the log answers──▶ answering ──all have heard──▶ idle
 *                   ▲  └─ it does not: after a pause ─▶ asking
 *                   └──── somebody has not heard: after a pause ────┘        any of them ──close()──▶ closed
 * ```
 *
 * Somebody who asks during the pause cuts it short. Somebody who asks again from within `hear` waits like the others.
 */
export class EndsInquiry<Question, A extends Asker<Question>> {
  readonly #waiting = new Set<A>();
  readonly #backoff: Backoff;
  #state: "idle" | "asking" | "answering" | "closed" = "idle";
  #pause = new AbortController();

  constructor(private readonly options: EndsInquiryOptions) {
    this.#backoff = new Backoff(options.backoff, options.random);
  }

  ask(asker: A): void {
    this.#waiting.add(asker);
    if (this.#state !== "answering") this.#pause.abort();
    if (this.#state === "idle") void this.#run();
  }

  close(): void {
    this.#state = "closed";
    this.#pause.abort();
  }

  async #run(): Promise<void> {
    const { clock } = this.options;
    this.#state = "asking";
    this.#backoff.reset();
    // Those who ask in the same turn are answered together.
    await Promise.resolve();
    while (this.#waiting.size > 0 && !this.#isClosed) {
      this.#pause = new AbortController();
      await this.#ask();
      if (this.#waiting.size > 0) await clock.sleep(this.#backoff.next_ms(), this.#pause.signal);
    }
    if (!this.#isClosed) this.#state = "idle";
  }

  get #isClosed(): boolean {
    return this.#state === "closed";
  }

  async #ask(): Promise<void> {
    const { log, topic, outage, onHeard } = this.options;
    const asked = Array.from(this.#waiting, (asker) => ({ asker, question: asker.question }));
    let ends: TopicEnds;
    try {
      ends = await log.ends(topic);
    } catch (e) {
      if (!this.#isClosed) outage.failed(e);
      return;
    }
    if (this.#isClosed) return;
    outage.worked();
    this.#state = "answering";
    for (const { asker, question } of asked) {
      // An asker that asks again from within `hear` stays in the set.
      this.#waiting.delete(asker);
      if (!asker.hear(question, ends)) this.#waiting.add(asker);
    }
    if (!this.#isClosed) this.#state = "asking";
    onHeard();
  }
}
