import type { Clock } from "../../system/clock.ts";
import type { Config } from "../../config/config.ts";
import { AppError } from "../../errors.ts";
import { Backoff } from "../../log/backoff.ts";
import { brokersOf } from "../../log/log-kinds.ts";
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
  /** The name, for people, of the service that waits for the topics: "The cart service". */
  readonly owner: string;
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Absent if no state is kept. */
  readonly stateOf?: StateOf | undefined;
}

/**
 * An event consists of the body of the request that asked for it, of which some parts are written longer (a price of 1
 * as 1.00), and of what identifies the event.
 */
const EVENT_BYTES_PER_BODY_BYTE = 2;
const EVENT_HEADERS_BYTES_MAX = 16 * 1024;
/** How often people are told that the wait lasts. */
const TELL_AGAIN_MS = 60_000;
/** A log that has not answered for this long probably has a problem. */
const ANSWER_WAIT_MS = 1_000;

/**
 * The orders' topic and the dead-letter topic: created if they are missing, then watched.
 *
 * ```
 *  prepare(): waiting ──both there──▶ known      watch(): a look each minute
 *                └─ orders' missing, with state of it, or the embedded log exchanged: waits for a person
 * ```
 */
export class Topics implements TopicsStanding {
  readonly #watch: TopicWatch;
  readonly #since_ms: number;
  /** `#since_ms` on the wall clock. */
  readonly #sinceWall_ms: number;
  #isPrepared = false;
  /** Whether the dead-letter topic existed before. */
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
      brokers: brokersOf(config.log),
      snapshot_wait_ms: config.snapshot_storage && config.snapshot_wait_ms,
      event_bytes_max: EVENT_BYTES_PER_BODY_BYTE * config.body_bytes_max + EVENT_HEADERS_BYTES_MAX,
    });
    this.#since_ms = clock.now_ms();
    this.#sinceWall_ms = clock.wall_ms();
  }

  /** Why the topics cannot be used yet, and since when on the wall clock. */
  get waiting(): { readonly sentence: string; readonly since_ms: number } | undefined {
    if (this.#isPrepared) return undefined;
    const isLate = this.options.clock.now_ms() - this.#since_ms >= ANSWER_WAIT_MS;
    if (this.#cause === undefined && !isLate) return undefined;
    const sentence = this.#cause === undefined ? "The log has not answered yet." : `The log cannot be used: ${this.#cause}`;
    return { sentence, since_ms: this.#sinceWall_ms };
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
   * Creates the two topics if they are missing, and tries for as long as it takes. The dead-letter topic gets as many
   * partitions as the orders' topic has. Resolves with the log's id, or with undefined if `signal` aborts first.
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

  /** Checks the topics each minute; ends soon after `signal` aborts. */
  watch(signal: AbortSignal): Promise<void> {
    return this.#watch.run(signal);
  }

  /** Creates the topics that are missing, and leaves the others as they are. */
  async create(): Promise<void> {
    const { log, config } = this.options;
    const { orders_topic: topic, dead_letter_topic: deadLetterTopic, topic_replication: replicas } = config;
    const hasState = await this.#requireNotLost();
    this.#created(topic, await log.createTopic(topic, config.topic_partitions, { replicas }));
    const count = await log.partitionCount(topic);
    // An unknown size is no reason to wait: the watch finds it if the topic turns out to take too little.
    const record_bytes_max = letterBytesMax(await log.describe(topic).catch(() => undefined));
    const created = await log.createTopic(deadLetterTopic, count, { record_bytes_max, replicas });
    this.#created(deadLetterTopic, created);
    if (created !== undefined && (this.#hadLetters || hasState)) this.#watch.tellLettersGone();
    this.#hadLetters = true;
  }

  /**
   * Throws if the orders' topic is missing although there is state of it, or if the embedded log is not the one it
   * was: going on would hide that orders are lost. Resolves with whether there is state of this log.
   */
  async #requireNotLost(): Promise<boolean> {
    const { log, config, stateOf } = this.options;
    const logId = await log.id();
    const state = stateOf?.(logId);
    if (state === undefined) return false;
    // The log is asked only after the state was found, because another service may just have made both.
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
    const waits = isFirst ? "waits" : `still waits, since ${new Date(this.#sinceWall_ms).toISOString()},`;
    logger.warn({ topic: config.orders_topic }, `${owner} ${waits} for the log: ${this.#cause}`);
  }
}
