import type { StoreFiles } from "../../runtime/store/store-files.ts";
import { AppError, isAppError } from "../../errors.ts";
import type { Appender } from "../../log/append/appender.ts";
import { Backoff } from "../../log/backoff.ts";
import type { TopicEnds } from "../../log/port.ts";
import { Refusals } from "../../log/append/refusals.ts";
import { EVENT_BYTES_MAX } from "../../orders/events/decode.ts";
import { Outage } from "../../runtime/read/outage.ts";
import { PartitionSet } from "../../runtime/partition-set.ts";
import { PartitionStore } from "../../runtime/store/store.ts";
import { Topics } from "../../runtime/topics/topics.ts";
import type { NewUuid } from "../../system/random.ts";
import type { AppendMeter, PartitionMeter } from "../../telemetry/meters.ts";
import { commandParts } from "./commands/command-parts.ts";
import type { CartCommands } from "./commands/commands.ts";
import { indexProjection, readPlacement, writePlacement } from "./index/index-projection.ts";
import { IndexFile } from "./index/index-file.ts";
import { OwnCreates } from "./index/own-creates.ts";
import type { Placement } from "./placement/placement.ts";
import { cartProjections } from "./projections.ts";
import type { ServiceOptions } from "../service-options.ts";

export interface CartServiceOptions extends ServiceOptions {
  readonly newUuid: NewUuid;
  /**
   * Called when the index turns out to be damaged: this service must then be stopped, and another one started with the
   * reason.
   */
  readonly onIndexDamaged: (reason: string) => void;
  /** Why the existing index must not be used, as an earlier service found. */
  readonly damage?: string | undefined;
  readonly meter?: PartitionMeter | undefined;
  readonly appendMeter?: AppendMeter | undefined;
}

/** How often the topic is asked how many partitions it has. */
export const PARTITION_COUNT_WAIT_MS = 1_000;
/**
 * While no request waits for the index, it reads at this interval: a few large transactions instead of many small
 * ones.
 */
const INDEX_GATHER_MS = 20;
/** Entries are small: larger savings would be hardly cheaper, and take 30 MiB more at the peak. */
const INDEX_UNSAVED_ROWS_MAX = 12_288;
/**
 * At a stop, all requests have been answered already; for what is still queued, the client was told that the outcome
 * is unknown.
 */
const FLUSH_WAIT_MS_MAX = 1_000;

/**
 * The cart service without its HTTP side: it reads the whole topic into the index of orders, and appends the commands'
 * events.
 *
 * ```
 *  made ──start()──▶ topics ─▶ index over all partitions, placement (look for added ones)
 *                                 └──stop()──▶ appender flushed ─▶ index closed
 * ```
 */
export class CartService {
  readonly partitions: PartitionSet;
  readonly commands: CartCommands;
  readonly #options: CartServiceOptions;
  readonly #file: IndexFile;
  readonly #placement: Placement;
  readonly #appender: Appender;
  readonly #refusals: Refusals;
  readonly #topics: Topics;
  readonly #askingForStart: Outage;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;
  #files: StoreFiles | undefined;
  /** Why the index cannot be opened now. All partitions' stores are in it, so each partition reports this. */
  #notOpen: unknown = new Error("the index is not open");
  #isDamaged = false;

  constructor(options: CartServiceOptions) {
    const { config, log, clock, random, newUuid, logger, meter, appendMeter } = options;
    const topic = config.orders_topic;
    const ownCreates = new OwnCreates();
    this.#options = options;
    this.#topics = new Topics({ owner: "The cart service", config, log, clock, random, logger, stateOf: options.stateOf });
    const tell = (message: string, isOver: boolean) => logger[isOver ? "info" : "error"]({ topic }, message);
    this.#askingForStart = new Outage(`Asking where ${topic} begins`, clock, tell);
    const projection = indexProjection(ownCreates);
    const projections = cartProjections(projection);
    this.#file = new IndexFile({ ...options, projections });
    this.partitions = new PartitionSet({
      log,
      topic,
      onStoreDamaged: (reason) => this.#noteDamage(reason),
      openStore: (partition) => new PartitionStore(this.#openedFiles(), projections, partition, () => undefined, meter),
      storePath: () => this.#file.path,
      isOwner: () => true,
      mayBeginLate: config.log_start === "accept",
      membership: () => (this.partitions.partitionCount === 0 ? "joining" : this.#placement.isSettled ? "stable" : "settling"),
      obstacle: () => this.#topics.waiting ?? this.#askingForStart.failure(0),
      topics: this.#topics,
      gather_ms: INDEX_GATHER_MS,
      bounds: { unsaved_rows_max: INDEX_UNSAVED_ROWS_MAX, ...options.bounds },
      meter,
      onRestoreProgress: (message, restore) => logger.info({ restore }, `Index of orders: ${message}`),
      backoff: config,
      clock,
      random,
      onWarning: (partition, message, level = "warn") => logger[level]({ partition }, message),
    });
    this.#refusals = new Refusals(clock, (message) => logger.warn({ topic }, `The log does not take events. ${message}`));
    const { partitions } = this;
    const parts = commandParts({
      log,
      topic,
      partitions,
      projection,
      ownCreates,
      onDisagreement: (partition, error) => partitions.get(partition)?.halt(error),
      append: {
        value_bytes_max: EVENT_BYTES_MAX,
        onNotTaken: (error) => this.#refusals.note(error),
        queue_records_max: config.append_queue_records_max,
        batch_records_max: config.append_batch_records_max,
        meter: appendMeter,
      },
      place: {
        partitioner: config.partitioner,
        settle_ms: config.partitions_settle_ms,
        isTopicNew: async (partitionCount) =>
          partitionCount === config.topic_partitions && isEmpty(await log.ends(topic), partitionCount),
        recall: () => readPlacement(this.#openedFiles().db),
        remember: (partitionCount) => writePlacement(this.#openedFiles().db, partitionCount),
        onMessage: (message) => logger.info({ topic }, message),
        ending: this.#ending.signal,
      },
      append_wait_ms_max: config.append_wait_ms_max,
      clock,
      random,
      newUuid,
    });
    this.#appender = parts.appender;
    this.#placement = parts.placement;
    this.commands = parts.commands;
  }

  start(): void {
    this.partitions.start();
    this.#running = this.#run();
  }

  /** A sentence about what the log refused within the last minute. */
  get refusal(): string | undefined {
    return this.#refusals.latest;
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#appender.close(FLUSH_WAIT_MS_MAX);
    await this.partitions.close();
    await this.#running;
    this.#files?.close();
    this.#file.release();
  }

  #noteDamage(reason: string): void {
    // All partitions are in one file, and each of them notices the damage.
    if (this.#isDamaged) return;
    this.#isDamaged = true;
    this.#options.onIndexDamaged(reason);
  }

  async #run(): Promise<void> {
    const { config, log, clock, random } = this.#options;
    const { orders_topic: topic } = config;
    const logId = await this.#topics.prepare(this.#ending.signal);
    if (logId === undefined || this.#ending.signal.aborted) return;
    const watching = this.#topics.watch(this.#ending.signal);
    const backoff = new Backoff(config, random);
    let unusable: AppError | undefined;
    while (!this.#ending.signal.aborted) {
      try {
        if (!this.#files && !unusable) unusable = await this.#tryOpen(logId);
        const askedAt_ms = clock.now_ms();
        const count = await log.partitionCount(topic);
        if (count > this.partitions.partitionCount) {
          this.partitions.partitionCount = count;
          this.partitions.assign(Array.from({ length: count }, (_, partition) => partition));
        }
        if (unusable) for (const held of this.partitions.held()) held.halt(unusable);
        else if (this.#files) this.#placement.confirm(count, askedAt_ms);
        backoff.reset();
        await clock.sleep(PARTITION_COUNT_WAIT_MS, this.#ending.signal);
      } catch {
        await clock.sleep(backoff.next_ms(), this.#ending.signal);
      }
    }
    await watching;
  }

  /**
   * Resolves with the reason why there is no index, if only a person can decide what is right. Rejects if the log does
   * not say where it begins.
   */
  async #tryOpen(logId: string): Promise<AppError | undefined> {
    try {
      const opened = await this.#file.open(logId);
      this.#askingForStart.worked();
      if (opened instanceof AppError) return opened;
      this.#files = opened;
    } catch (e) {
      this.#notOpen = e;
      if (!isAppError(e, "LOG_UNAVAILABLE")) return undefined;
      this.#askingForStart.failed(e);
      throw e;
    }
    return undefined;
  }

  #openedFiles(): StoreFiles {
    if (!this.#files) throw this.#notOpen;
    return this.#files;
  }
}

/** Whether no partition holds or has held anything. A partition that cannot be asked counts as one that may. */
const isEmpty = ({ partitions }: TopicEnds, partitionCount: number): boolean =>
  partitions.length === partitionCount && partitions.every((ends) => !("unavailable" in ends) && ends.endOffset === 0);
