import type { Clock } from "../../system/clock.ts";
import type { Config } from "../../config/config.ts";
import { AppError } from "../../errors.ts";
import { Backoff } from "../../log/backoff.ts";
import type { CreatedTopic, Log } from "../../log/port.ts";
import type { Random } from "../../system/random.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { LostHead } from "./lost-heads.ts";
import { isExchanged, lostLog } from "../store/lost-logs.ts";
import type { StateOf } from "../store/state-dir.ts";
import type { TopicFinding, TopicsStanding, TopicWarning } from "../held-partitions.ts";
import { letterBytesMax } from "./topic-concerns.ts";
import { TopicWatch } from "./topic-watch.ts";

export interface TopicsOptions {
  /** Who waits for them, for people: "The cart service". */
  readonly owner: string;
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** None where no state is kept. */
  readonly stateOf?: StateOf | undefined;
}

/**
 * An event's bytes are those of the request that asked for it, some written longer (a price of 1 is 1.00), and what
 * names it.
 */
const EVENT_BYTES_PER_BODY_BYTE = 2;
const EVENT_HEADERS_BYTES_MAX = 16 * 1024;
/** How often it is said that the wait lasts. */
const TELL_AGAIN_MS = 60_000;
/** A log that has not answered for so long has something the matter. */
const ANSWER_WAIT_MS = 1_000;

/**
 * The topic of the orders and that of their dead letters: made where they are missing, then watched.
 *
 * ```
 *  prepare(): waiting ──both there──▶ known      watch(): a look each minute
 *                └─ orders' missing, with state of it, or the embedded log exchanged: waits for a person
 * ```
 */
export class Topics implements TopicsStanding {
  readonly #watch: TopicWatch;
  readonly #made_ms: number;
  /** The same on the wall clock. */
  readonly #madeAt_ms: number;
  #isPrepared = false;
  /** The topic of the letters was there before. */
  #hadLetters = false;
  #cause: string | undefined;
  #toldAt_ms = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: TopicsOptions) {
    const { config, log, clock, logger } = options;
    this.#watch = new TopicWatch({
      log,
      clock,
      logger,
      topic: config.orders_topic,
      deadLetterTopic: config.dead_letter_topic,
      brokers: config.kafka?.brokers.join(","),
      event_bytes_max: EVENT_BYTES_PER_BODY_BYTE * config.body_bytes_max + EVENT_HEADERS_BYTES_MAX,
    });
    this.#made_ms = clock.now_ms();
    this.#madeAt_ms = clock.wall_ms();
  }

  /** Why the topics cannot be used yet. */
  get waiting(): { readonly sentence: string; readonly since_ms: number } | undefined {
    if (this.#isPrepared) return undefined;
    const isLate = this.options.clock.now_ms() - this.#made_ms >= ANSWER_WAIT_MS;
    if (this.#cause === undefined && !isLate) return undefined;
    const sentence = this.#cause === undefined ? "The log has not answered yet." : `The log cannot be used: ${this.#cause}`;
    return { sentence, since_ms: this.#madeAt_ms };
  }

  get warnings(): readonly TopicWarning[] {
    return this.#watch.warnings;
  }

  noteLostHeads(heads: readonly LostHead[]): void {
    this.#watch.noteLostHeads(heads);
  }

  get findings(): readonly TopicFinding[] {
    return this.#watch.findings;
  }

  /**
   * Creates the two topics where they are missing, trying for as long as it takes. The dead letters get as many
   * partitions as the topic has. Resolves with the log's id, undefined when `signal` aborted first.
   */
  async prepare(signal: AbortSignal): Promise<string | undefined> {
    const { config, clock, random } = this.options;
    const backoff = new Backoff(config, random);
    while (!signal.aborted) {
      try {
        await this.create();
        const id = await this.options.log.id();
        this.#isPrepared = true;
        return id;
      } catch (e) {
        if (signal.aborted) return undefined;
        this.#failed(e);
        await clock.sleep(backoff.next_ms(), signal);
      }
    }
    return undefined;
  }

  /** Looks at them each minute; ends soon after `signal` aborts. */
  watch(signal: AbortSignal): Promise<void> {
    return this.#watch.run(signal);
  }

  /** What is there already is left as it is. */
  async create(): Promise<void> {
    const { log, config } = this.options;
    const { orders_topic: topic, dead_letter_topic: deadLetterTopic, topic_replication: replicas } = config;
    const hasState = await this.#requireNotLost();
    this.#created(topic, await log.createTopic(topic, config.topic_partitions, { replicas }));
    const count = await log.partitionCount(topic);
    // Not knowing it is no reason to wait: what is then too small is found by the watch.
    const record_bytes_max = letterBytesMax(await log.describe(topic).catch(() => undefined));
    const created = await log.createTopic(deadLetterTopic, count, { record_bytes_max, replicas });
    this.#created(deadLetterTopic, created);
    if (created !== undefined && (this.#hadLetters || hasState)) this.#watch.tellLettersGone();
    this.#hadLetters = true;
  }

  /**
   * Throws where the orders' topic is missing although there is state of it, or the embedded log is another one than
   * it was: to go on would hide that its orders are lost. Resolves with whether there is state of this log.
   */
  async #requireNotLost(): Promise<boolean> {
    const { log, config, stateOf } = this.options;
    const logId = await log.id();
    const state = stateOf?.(logId);
    if (state === undefined) return false;
    // Asked after the state is found: another service may just have made both.
    const isThere = !isExchanged(config, state, logId) && (await log.partitionCount(config.orders_topic)) > 0;
    if (isThere) return state.logId === logId;
    throw new AppError("LOG_UNAVAILABLE", lostLog(config, state, logId));
  }

  #created(topic: string, created: CreatedTopic | undefined): void {
    if (created === undefined) return;
    const { partitions, replicas, settings } = created;
    const { logger } = this.options;
    const set = Object.entries(settings).map(([name, value]) => `, ${name}=${value}`);
    const copies = replicas === undefined ? "" : `, ${replicas} ${replicas === 1 ? "replica" : "replicas"}`;
    logger.info(
      { topic, partitions, replicas, settings },
      `Created the topic ${topic}: ${partitions} partitions${copies}${set.join("")}.`,
    );
    if (replicas !== 1) return;
    logger.warn(
      { topic },
      `The topic ${topic} was created with 1 replica: what is acknowledged is lost with one broker's disk. Where there are more brokers, or will be, set TOPIC_REPLICATION or the brokers' default before it is created, or add replicas.`,
    );
  }

  #failed(e: unknown): void {
    const { clock, logger, owner, config } = this.options;
    const isFirst = this.#cause === undefined;
    this.#cause = e instanceof Error ? e.message : String(e);
    if (clock.now_ms() - this.#toldAt_ms < TELL_AGAIN_MS) return;
    this.#toldAt_ms = clock.now_ms();
    const waits = isFirst ? "waits" : `still waits, since ${new Date(this.#madeAt_ms).toISOString()},`;
    logger.warn({ topic: config.orders_topic }, `${owner} ${waits} for the log: ${this.#cause}`);
  }
}
