import type { TopicEnds } from "../../log/port.ts";

/**
 * Asks where the log ends. An answer is good for every request made before the question was sent, so all requests made
 * while one question is under way share the next one.
 *
 * ```
 *  idle ──ask()──▶ asking ──ask()──▶ asking, and the next question waits ──answered──▶ asking
 *    ▲               │
 *    └───answered────┘
 * ```
 */
export class SharedEnds {
  #asking: Promise<TopicEnds> | undefined;
  #askingNext: Promise<TopicEnds> | undefined;

  constructor(private readonly ends: () => Promise<TopicEnds>) {}

  ask(): Promise<TopicEnds> {
    if (!this.#asking) return this.#ask();
    return (this.#askingNext ??= this.#asking.then(
      () => this.#askNext(),
      () => this.#askNext(),
    ));
  }

  #askNext(): Promise<TopicEnds> {
    this.#askingNext = undefined;
    return this.#ask();
  }

  #ask(): Promise<TopicEnds> {
    const asked: Promise<TopicEnds> = this.ends().finally(() => {
      if (this.#asking === asked && !this.#askingNext) this.#asking = undefined;
    });
    return (this.#asking = asked);
  }
}
