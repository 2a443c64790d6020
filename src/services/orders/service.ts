import type { LogRecord, Membership } from "../../log/port.ts";
import { DeadLetterTrial } from "../../runtime/dead-letters/dead-letter-trial.ts";
import { DeadLetters } from "../../runtime/dead-letters/dead-letters.ts";
import { LetterNews } from "../../runtime/dead-letters/letter-news.ts";
import { Outage } from "../../runtime/read/outage.ts";
import { PartitionSet } from "../../runtime/partition-set.ts";
import { type State, statePath, storeName } from "../../runtime/store/state-dir.ts";
import { PartitionStore } from "../../runtime/store/store.ts";
import type { Unusable } from "../../runtime/store/store-file.ts";
import { Topics } from "../../runtime/topics/topics.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { ApplyTracer } from "../../telemetry/tracer.ts";
import type { ServiceOptions } from "../service-options.ts";
import { ORDER_SERVICE_PROJECTIONS } from "./slices.ts";

export interface OrderServiceOptions extends ServiceOptions {
  readonly metrics?: Metrics | undefined;
  readonly tracer?: ApplyTracer | undefined;
  /** Called for each batch with the records that have become readable. */
  readonly onReadable?: (records: readonly LogRecord[]) => void;
}

/**
 * Each fetch costs as much as some hundred events, and an answer that is this much older is still fresh. Who asks for a
 * position, or for an order that is not there, does not wait for it.
 */
const GATHER_MS = 25;
/** How often the applied offsets are committed to the group. */
const COMMIT_WAIT_MS = 1_000;
const PARTITION_COUNT_WAIT_MS = 3_000;
/** The reason given when a store with nothing wrong is rebuilt. */
export const REBUILD_ASKED = "an operator asked for it";

/**
 * The order service without its HTTP side: it joins the group and runs its projections over the assigned partitions.
 *
 * ```
 *  made ──start()──▶ topics ─▶ join the group ─▶ assigned ⇄ partition set
 *                                 └──stop()──▶ commit ─▶ partition set closed ─▶ group left
 * ```
 */
export class OrderService {
  readonly partitions: PartitionSet;
  readonly #options: OrderServiceOptions;
  readonly #deadLetters: DeadLetters;
  readonly #topics: Topics;
  readonly #groupOutage: Outage;
  readonly #deadLetterTrial: DeadLetterTrial;
  readonly #letterNews: LetterNews;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;
  #membership: Membership | undefined;
  #logId = "";
  #state: State | undefined;

  constructor(options: OrderServiceOptions) {
    const { config, log, clock, random, logger, metrics, tracer } = options;
    this.#options = options;
    this.#topics = new Topics({ owner: "The order service", config, log, clock, random, logger, stateOf: options.stateOf });
    const isOwner = () => this.#membership?.isOwner() ?? false;
    const onWarning = (partition: number | undefined, message: string, level: "info" | "warn" | "error" = "warn") =>
      logger[level]({ partition }, message);
    const warnOfAll = (message: string) => logger.warn(message);
    this.#groupOutage = new Outage(`Joining the group ${config.consumer_group}`, clock, warnOfAll);
    this.#deadLetterTrial = new DeadLetterTrial({ log, deadLetterTopic: config.dead_letter_topic, clock, onWarning: warnOfAll });
    this.#letterNews = new LetterNews(config.dead_letter_topic, clock, onWarning);
    const common = { log, topic: config.orders_topic, isOwner, backoff: config, clock, random, onWarning };
    this.#deadLetters = new DeadLetters({
      ...common,
      deadLetterTopic: config.dead_letter_topic,
      createTopic: () => this.#topics.create(),
      onAppended: (partition, letters, cut) => {
        metrics?.deadLettersAppended(partition, letters.length, cut);
        this.#letterNews.note(partition, letters);
        this.#deadLetterTrial.worked();
      },
    });
    this.partitions = new PartitionSet({
      ...common,
      bounds: options.bounds,
      openStore: (partition) => this.#openStore(partition),
      storePath: (partition) => this.#storePath(partition),
      setStoreAside: (partition, reason) => this.#setStoreAside(partition, reason),
      onRestoreProgress: (message, restore) => logger.info({ restore }, message),
      deliverDeadLetters: this.#deadLetters.deliver,
      mayBeginLate: config.log_start === "accept",
      gather_ms: GATHER_MS,
      membership: () => this.#groupState(),
      obstacle: () => this.#topics.waiting ?? this.#groupOutage.failure(0),
      deadLetterFailure: () => this.#deadLetterTrial.failure,
      topics: this.#topics,
      meter: metrics,
      tracer,
      ...(options.onReadable ? { onReadable: options.onReadable } : {}),
    });
  }

  start(): void {
    this.partitions.start();
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#commit();
    await this.partitions.close();
    await this.#deadLetters.close();
    this.#letterNews.tellTheRest();
    await this.#membership?.leave();
    await this.#running;
    this.#state?.release();
  }

  /**
   * Stable only while the group has confirmed it recently: a member that cannot reach the group does not know what it
   * owns.
   */
  #groupState(): string {
    const membership = this.#membership;
    if (!membership) return "joining";
    return membership.state === "stable" && !membership.isOwner() ? "joining" : membership.state;
  }

  async #run(): Promise<void> {
    const { config, log, clock, logger } = this.#options;
    const { orders_topic: topic } = config;
    const logId = await this.#topics.prepare(this.#ending.signal);
    if (logId === undefined || this.#ending.signal.aborted) return;
    const watching = this.#topics.watch(this.#ending.signal);
    void this.#deadLetterTrial.run(this.#ending.signal);
    this.#logId = logId;
    this.#membership = log.joinGroup({
      group: config.consumer_group,
      topic,
      localPartitions: () => this.#localPartitions(),
      listener: {
        onAssigned: (partitions) => {
          logger.info({ partitions }, `${partitions.length} partitions assigned`);
          this.partitions.assign(partitions);
        },
        onLost: (reason) => void this.#groupOutage.failed(reason),
        onWaiting: (holder) =>
          logger.warn(`The group ${config.consumer_group} is held by ${holder}; this process takes over when that one ends.`),
      },
    });
    for (let lookedAt_ms = Number.NEGATIVE_INFINITY; !this.#ending.signal.aborted;) {
      if (clock.now_ms() - lookedAt_ms >= PARTITION_COUNT_WAIT_MS) {
        lookedAt_ms = clock.now_ms();
        this.partitions.partitionCount = await log.partitionCount(topic).catch(() => this.partitions.partitionCount);
      }
      await clock.sleep(COMMIT_WAIT_MS, this.#ending.signal);
      this.#lookAtGroup();
      this.#letterNews.tellWhatIsDue();
      await this.#commit();
    }
    await watching;
  }

  #lookAtGroup(): void {
    const { state, reason } = this.#membership ?? {};
    if (state === "stable") this.#groupOutage.worked();
    else if (state === "joining" && reason !== undefined) this.#groupOutage.failed(reason);
  }

  async #commit(): Promise<void> {
    await this.#membership
      ?.commit(this.partitions.positions())
      .catch((e: unknown) => this.#options.logger.debug({ err: e }, "offset commit failed"));
  }

  /** Claims the state only when it is needed: a member that waits for another one takes over that one's stores. */
  #claimState(): State {
    return (this.#state ??= this.#options.claimState(this.#logId));
  }

  /** A failing disk is reported by the partitions that are assigned, and is no reason to stay out of the group. */
  #localPartitions(): number[] {
    try {
      return this.#claimState().partitions(this.#options.config.orders_topic);
    } catch {
      return [];
    }
  }

  #storePath(partition: number): string {
    const { data_dir, orders_topic } = this.#options.config;
    const name = storeName(orders_topic, partition);
    return this.#state?.path(name) ?? statePath(data_dir, this.#logId);
  }

  #openStore(partition: number): PartitionStore | Unusable {
    const { config, metrics } = this.#options;
    const name = storeName(config.orders_topic, partition);
    const identity = { logId: this.#logId, topic: config.orders_topic, partition };
    const opened = this.#claimState().open(name, ORDER_SERVICE_PROJECTIONS, identity);
    if ("unusable" in opened) return opened;
    return PartitionStore.open(opened.files, ORDER_SERVICE_PROJECTIONS, partition, metrics);
  }

  #setStoreAside(partition: number, reason: string): void {
    const { config, clock, logger } = this.#options;
    const path = this.#claimState().setAside(storeName(config.orders_topic, partition), clock.wall_ms());
    this.#deadLetters.forget(partition);
    const why = reason === REBUILD_ASKED ? "as an operator asked for its rebuild" : "as it was not usable";
    logger.warn({ partition, path, reason }, `The store was set aside, ${why}; it is rebuilt from the log.`);
  }
}
