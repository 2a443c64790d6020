import { earlierState } from "../../fleet/earlier-state.ts";
import type { Appender } from "../../log/append/appender.ts";
import { Backoff } from "../../log/backoff.ts";
import type { TopicEnds } from "../../log/port.ts";
import { Refusals } from "../../log/append/refusals.ts";
import { EVENT_BYTES_MAX } from "../../orders/events/decode.ts";
import { LATE_START_SESSIONS } from "../../runtime/late-start.ts";
import { PartitionSet } from "../../runtime/partition-set.ts";
import { PartitionStores } from "../../runtime/partition-stores.ts";
import { Topics } from "../../runtime/topics/topics.ts";
import type { NewUuid } from "../../system/random.ts";
import type { AppendMeter, PartitionMeter, SnapshotMeter } from "../../telemetry/meters.ts";
import { type CommandParts, commandParts } from "./commands/command-parts.ts";
import type { CartCommands } from "./commands/commands.ts";
import { eventIdOfKey, indexProjection } from "./index/index-projection.ts";
import { OwnCreates } from "./index/own-creates.ts";
import type { Placement } from "./placement/placement.ts";
import { Coverage } from "./sharing/coverage.ts";
import { IndexesElsewhere, nowhere } from "./sharing/elsewhere.ts";
import { findHere } from "./sharing/find-here.ts";
import { Holders } from "./sharing/holders.ts";
import { IndexGroup, type IndexGroupOptions } from "./sharing/index-group.ts";
import type { SharedWithPeers } from "./sharing/index-hops.ts";
import { SharedCommands } from "./sharing/shared-commands.ts";
import { cartProjections } from "./projections.ts";
import type { ServiceOptions } from "../service-options.ts";

export interface CartServiceOptions extends ServiceOptions {
  readonly newUuid: NewUuid;
  /** How the indexes are shared with other carts; absent: this cart has those of all partitions. */
  readonly sharing?: Pick<IndexGroupOptions, "group" | "fleet" | "endpoint" | "replicas"> | undefined;
  readonly snapshotMeter?: SnapshotMeter | undefined;
  readonly meter?: PartitionMeter | undefined;
  readonly appendMeter?: AppendMeter | undefined;
}

/** How often the topic is asked how many partitions it has. */
export const PARTITION_COUNT_WAIT_MS = 1_000;
/** How often to look whether the group has given this cart its share. */
const ASSIGNMENT_LOOK_MS = 100;
/**
 * While no request waits for the index, it reads at this interval: a few large transactions instead of many small
 * ones.
 */
const INDEX_GATHER_MS = 20;
/** Entries are small: larger savings would be hardly cheaper, and take 30 MiB more at the peak. */
const INDEX_UNSAVED_ROWS_MAX = 12_288;
/** Begins messages about partitions, of which the order service in the same process may have others. */
const INDEX = "Index of orders: ";
/** The name under which the cart keeps by how many partitions it places creates. */
const PLACEMENT = "placement";
/** How often to look for stores of other versions that are not needed any more. */
const OUTDATED_WAIT_MS = 3_600_000;
/**
 * At a stop, all requests have been answered already; for what is still queued, the client was told that the outcome
 * is unknown.
 */
const FLUSH_WAIT_MS_MAX = 1_000;

/**
 * The cart service without its HTTP side: it reads the topic into the index of orders, all of it or the share that its
 * group gives it, and appends the commands' events.
 *
 * ```
 *  made ──start()──▶ topics ─▶ indexes of its partitions, placement (look for added ones)
 *                                 └──stop()──▶ appender flushed ─▶ indexes closed ─▶ group left
 * ```
 */
export class CartService {
  readonly partitions: PartitionSet;
  readonly commands: CartCommands;
  /** What is told to other carts that share the index; undefined if none do. */
  readonly shared: SharedWithPeers | undefined;
  readonly #options: CartServiceOptions;
  readonly #stores: PartitionStores;
  readonly #placement: Placement;
  readonly #appender: Appender;
  readonly #refusals: Refusals;
  readonly #topics: Topics;
  readonly #coverage = new Coverage();
  readonly #group: IndexGroup | undefined;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: CartServiceOptions) {
    const { config, log, clock, random, newUuid, logger, meter, appendMeter, sharing } = options;
    const topic = config.orders_topic;
    const ownCreates = new OwnCreates();
    this.#options = options;
    this.#topics = new Topics({ owner: "The cart service", config, log, clock, random, logger, stateOf: options.stateOf });
    const partitionCount = () => this.partitions.partitionCount;
    const projection = indexProjection(ownCreates, { partitioner: config.partitioner, partitionCount });
    this.#stores = new PartitionStores({ ...options, prefix: INDEX, projections: cartProjections(projection) });
    this.partitions = new PartitionSet({
      log,
      topic,
      ...this.#stores.ofSet(),
      isOwner: () => true,
      takesSnapshots: (partition) => this.#group?.takesSnapshots(partition) ?? true,
      mayBeginLate: config.log_start === "accept",
      membership: () => this.#state(),
      obstacle: () => this.#topics.waiting ?? this.#group?.failure,
      topics: this.#topics,
      ...(sharing && {
        fleetConcerns: () => sharing.fleet.concerns,
        copiesWanted: sharing.replicas,
        earlierElsewhere: (partition: number, startOffset: number) => earlierState(sharing.fleet, partition, startOffset),
        hadBefore: async (partition: number) => (await this.#group?.hadBefore(partition)) ?? true,
        lateStartWait_ms: LATE_START_SESSIONS * config.session_timeout_ms,
      }),
      gather_ms: INDEX_GATHER_MS,
      bounds: { unsaved_rows_max: INDEX_UNSAVED_ROWS_MAX, ...options.bounds },
      meter,
      onRestoreProgress: (message, restore) => logger.info({ restore }, INDEX + message),
      backoff: config,
      clock,
      random,
      onWarning: (partition, message, level = "warn") => logger[level]({ partition }, INDEX + message),
    });
    this.#refusals = new Refusals(clock, (message) => logger.warn({ topic }, `The log does not take events. ${message}`));
    const { partitions } = this;
    const coverage = this.#coverage;
    const holders = new Holders(partitions, coverage, sharing?.fleet.members);
    const homes = (orderId: string) => this.#placement.homes(orderId);
    const haltedMayHave = (partition: number, orderId: string) => parts.index.mayHave(partition, orderId);
    const { partitioner } = config;
    const elsewhere = sharing
      ? new IndexesElsewhere({ ...sharing, partitions, holders, coverage, homes, haltedMayHave, partitioner, clock })
      : nowhere;
    const parts: CommandParts = commandParts({
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
        partitioner,
        settle_ms: config.partitions_settle_ms,
        isTopicNew: async (count) => count === config.topic_partitions && isEmpty(await log.ends(topic), count),
        recall: () => Number(this.#stores.claimed().kept(PLACEMENT) ?? Number.NaN) || undefined,
        remember: (count) => this.#stores.claimed().keep(PLACEMENT, String(count)),
        onMessage: (message) => logger.info({ topic }, message),
        ending: this.#ending.signal,
      },
      ...(sharing && { onCaughtUp: (ends: TopicEnds, now: TopicEnds) => coverage.settle(ends, now) }),
      elsewhere,
      append_wait_ms_max: config.append_wait_ms_max,
      clock,
      random,
      newUuid,
    });
    this.#appender = parts.appender;
    this.#placement = parts.placement;
    this.commands = parts.commands;
    if (sharing === undefined) return;
    const { placement, commands } = parts;
    const { append_wait_ms_max } = config;
    const placedBy = () => placement.settledCount;
    const keyed = (key: string, orderId: string) => parts.index.findSoundKeyed(eventIdOfKey(key), orderId);
    const place = { holders, homes, placedBy, keyed, append_wait_ms_max, clock };
    this.commands = new SharedCommands({ ...sharing, here: commands, ...place });
    const hearPlacing = (count: number) => placement.hear(count);
    this.shared = { commands, hearPlacing, find: findHere({ ...parts, partitions, holders }) };
    const isPlacing = () => placement.isSettled;
    this.#group = new IndexGroup({
      ...options,
      ...sharing,
      partitions,
      stores: this.#stores,
      projection,
      isPlacing,
      coverage,
      holders,
    });
  }

  /** See `PartitionStores.appliedFrom`. */
  readonly appliedFrom = (partitions: readonly number[]): ReadonlyMap<number, number> =>
    this.#stores.appliedFrom(partitions, this.partitions.actors);

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
    this.#stores.lookForFiles(this.partitions.actors, true);
    await this.partitions.close();
    await this.#group?.leave();
    await this.#running;
    this.#stores.release();
  }

  /** A cart that falls out of its group keeps its share, as nothing rests on who has which. */
  #state(): string {
    if (this.partitions.partitionCount === 0 || this.#group?.isAssigned === false) return "joining";
    return this.#placement.isSettled ? "stable" : "settling";
  }

  async #run(): Promise<void> {
    const { config, log, clock, random, sharing } = this.#options;
    const { orders_topic: topic } = config;
    const logId = await this.#topics.prepare(this.#ending.signal);
    if (logId === undefined || this.#ending.signal.aborted) return;
    const watching = this.#topics.watch(this.#ending.signal);
    this.#stores.begin(logId);
    sharing?.fleet.begin(logId);
    const group = this.#share();
    const backoff = new Backoff(config, random);
    for (let tidiedAt_ms = clock.now_ms(); !this.#ending.signal.aborted;) {
      this.#stores.lookForFiles(this.partitions.actors);
      try {
        const askedAt_ms = clock.now_ms();
        const count = await log.partitionCount(topic);
        if (count > this.partitions.partitionCount) {
          this.partitions.partitionCount = count;
          if (sharing === undefined) this.partitions.assign(Array.from({ length: count }, (_, partition) => partition));
        }
        if (this.#group?.isAssigned !== false) this.#placement.confirm(count, askedAt_ms);
        if (clock.now_ms() - tidiedAt_ms >= OUTDATED_WAIT_MS) {
          tidiedAt_ms = clock.now_ms();
          this.#stores.removeOutdated(this.partitions.actors);
        }
        backoff.reset();
        await clock.sleep(this.#lookWait_ms, this.#ending.signal);
      } catch {
        await clock.sleep(backoff.next_ms(), this.#ending.signal);
      }
    }
    await watching;
    await group;
  }

  get #lookWait_ms(): number {
    return this.#group?.isAssigned === false ? ASSIGNMENT_LOOK_MS : PARTITION_COUNT_WAIT_MS;
  }

  /** Apart from the look at the partition count: a coordinator that does not answer must not keep creates from being placed. */
  async #share(): Promise<void> {
    const { log, config, clock, random } = this.#options;
    const group = this.#group;
    if (group === undefined) return;
    const backoff = new Backoff(config, random);
    while (!this.#ending.signal.aborted) {
      try {
        if (this.partitions.partitionCount > 0) {
          if (!this.#coverage.isBegun) this.#coverage.begin(await log.ends(config.orders_topic));
          group.join();
          await group.look();
        }
        backoff.reset();
        await clock.sleep(this.#lookWait_ms, this.#ending.signal);
      } catch {
        await clock.sleep(backoff.next_ms(), this.#ending.signal);
      }
    }
  }
}

/** Whether no partition holds or has held anything. A partition that cannot be asked counts as one that may. */
const isEmpty = ({ partitions }: TopicEnds, partitionCount: number): boolean =>
  partitions.length === partitionCount && partitions.every((ends) => !("unavailable" in ends) && ends.endOffset === 0);
