import type { Clock } from "../../system/clock.ts";
import type { Log, TopicDescription } from "../../log/port.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { TopicFinding, TopicWarning } from "../held-partitions.ts";
import { type LostHead, lostHeadConcern } from "./lost-heads.ts";
import { letterBytesNeeded, TOPIC_CONCERNS, type TopicConcern, topicConcerns, type TopicUse } from "./topic-concerns.ts";

export const LOOK_WAIT_MS = 60_000;
/** How often a lasting warning is logged again. */
const TELL_AGAIN_MS = 3_600_000;
/** Lost heads are looked for each few seconds: a change, or an end, is logged no sooner than this after the last line. */
const TELL_CHANGE_MS = LOOK_WAIT_MS;

/** What the log has lost does not come back: another member has the partition now, or a snapshot has the records. */
const overFor = (code: TopicConcern["code"]): string =>
  code === "first-records-lost" ? "No longer so of the partitions held here" : "No longer so";

interface Told {
  readonly what: string;
  readonly about: string;
  readonly at_ms: number;
}

export interface TopicWatchOptions {
  readonly log: Log;
  readonly topic: string;
  readonly deadLetterTopic: string;
  /** The brokers' addresses, for the commands that are suggested. */
  readonly brokers?: string | undefined;
  /** The size of the largest batch that one order's event makes. */
  readonly event_bytes_max: number;
  /** How often snapshots of the state are taken; undefined: never. */
  readonly snapshot_wait_ms?: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Checks each minute whether the topics are set up to keep their records, since anybody may change that at any time.
 * What is wrong is logged when it is found, when it changes, each hour while it lasts, and once it is over, and kept for
 * health, metrics and the page. What keeps changing is logged once a minute. It stops nothing (decision 14): a check that
 * fails keeps what the last one found.
 */
export class TopicWatch {
  /** Concerns about the topics' settings, by topic. */
  readonly #concerns = new Map<string, readonly TopicConcern[]>();
  #lostHead: TopicConcern | undefined;
  readonly #told = new Map<string, Told>();
  #lettersId: string | undefined;

  constructor(private readonly options: TopicWatchOptions) {}

  /** Ends soon after `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look().catch((e: unknown) => this.options.logger.debug({ err: e }, "a topic could not be described"));
      await this.options.clock.sleep(LOOK_WAIT_MS, signal);
    }
  }

  get warnings(): TopicWarning[] {
    return this.#found.flatMap(([topic, concerns]) =>
      concerns.filter(({ isWarning }) => isWarning).map(({ code, message }) => ({ topic, code, detail: message })),
    );
  }

  /** Every possible concern for each topic that was checked, and whether it was found. */
  get findings(): TopicFinding[] {
    return this.#found.flatMap(([topic, concerns]) =>
      TOPIC_CONCERNS.map((code) => ({ topic, code, isFound: concerns.some((concern) => concern.code === code) })),
    );
  }

  get #found(): (readonly [topic: string, concerns: readonly TopicConcern[]])[] {
    const topics = new Set(this.#concerns.keys());
    if (this.#lostHead) topics.add(this.options.topic);
    return Array.from(topics, (topic) => [topic, this.#concernsOf(topic)]);
  }

  #concernsOf(topic: string): readonly TopicConcern[] {
    const concerns = this.#concerns.get(topic) ?? [];
    return this.#lostHead === undefined || topic !== this.options.topic ? concerns : [...concerns, this.#lostHead];
  }

  /** Notes the partitions whose first records the orders' topic has lost although the state has them. */
  noteLostHeads(heads: readonly LostHead[]): void {
    const { topic } = this.options;
    this.#lostHead = lostHeadConcern(topic, heads);
    this.#tell(topic);
  }

  async look(): Promise<void> {
    const { topic, deadLetterTopic, event_bytes_max, snapshot_wait_ms } = this.options;
    const orders = await this.#lookAt({ topic, role: "orders", record_bytes_max: event_bytes_max, snapshot_wait_ms });
    await this.#lookAt({ topic: deadLetterTopic, role: "dead-letters", record_bytes_max: letterBytesNeeded(orders) });
  }

  /** Warns that the dead-letter topic was deleted and created anew, by this service or another program. */
  tellLettersGone(): void {
    const { topic, deadLetterTopic, logger } = this.options;
    this.#lettersId = undefined;
    logger.warn(
      { topic: deadLetterTopic },
      `The topic ${deadLetterTopic} was deleted and is made anew: the letters that were in it are gone. Their records are still in ${topic}; to have their letters appended again, have the partitions rebuilt: POST /partitions/<partition>/rebuild of the order service.`,
    );
  }

  #noteLetters({ topicId }: TopicDescription): void {
    if (this.#lettersId !== undefined && topicId !== undefined && topicId !== this.#lettersId) this.tellLettersGone();
    this.#lettersId = topicId;
  }

  async #lookAt(asked: Omit<TopicUse, "brokers">): Promise<TopicDescription | undefined> {
    const use = { ...asked, brokers: this.options.brokers };
    const description = await this.options.log.describe(use.topic);
    if (description === undefined) return undefined;
    if (use.role === "dead-letters") this.#noteLetters(description);
    this.#concerns.set(use.topic, topicConcerns(use, description));
    this.#tell(use.topic);
    return description;
  }

  #tell(topic: string): void {
    const { clock, logger } = this.options;
    const concerns = this.#concernsOf(topic);
    const now_ms = clock.now_ms();
    for (const code of TOPIC_CONCERNS) {
      const key = `${code} ${topic}`;
      const told = this.#told.get(key);
      if (told !== undefined && now_ms - told.at_ms < TELL_CHANGE_MS) continue;
      const concern = concerns.find((one) => one.code === code);
      if (concern === undefined) {
        if (told !== undefined) logger.info({ topic, concern: code }, `${overFor(code)}: ${told.what}`);
        this.#told.delete(key);
        continue;
      }
      const { what, message, isWarning, about = message } = concern;
      const isDue = told?.about !== about || (isWarning && now_ms - told.at_ms >= TELL_AGAIN_MS);
      if (!isDue) continue;
      this.#told.set(key, { what, about, at_ms: now_ms });
      logger[isWarning ? "warn" : "info"]({ topic, concern: code }, message);
    }
  }
}
