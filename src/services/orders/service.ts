import { earlierState } from "../../fleet/earlier-state.ts";
import type { Fleet } from "../../fleet/fleet.ts";
import type { Assignment, Membership } from "../../log/membership.ts";
import type { LogRecord } from "../../log/port.ts";
import { DeadLetterTrial } from "../../runtime/dead-letters/dead-letter-trial.ts";
import { DeadLetters } from "../../runtime/dead-letters/dead-letters.ts";
import { LetterNews } from "../../runtime/dead-letters/letter-news.ts";
import { Outage } from "../../runtime/read/outage.ts";
import { LATE_START_SESSIONS, wasHeld } from "../../runtime/late-start.ts";
import { PartitionSet } from "../../runtime/partition-set.ts";
import { PartitionStores } from "../../runtime/partition-stores.ts";
import { committedOffset } from "../../runtime/standby/owner-commit.ts";
import { WarmUps } from "../../runtime/standby/warm-ups.ts";
import { Topics } from "../../runtime/topics/topics.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { SnapshotMeter } from "../../telemetry/meters.ts";
import type { ApplyTracer } from "../../telemetry/tracer.ts";
import type { ServiceOptions } from "../service-options.ts";
import { ORDER_SERVICE_PROJECTIONS } from "./slices.ts";

export interface OrderServiceOptions extends ServiceOptions {
  readonly metrics?: Metrics | undefined;
  readonly snapshotMeter?: SnapshotMeter | undefined;
  readonly tracer?: ApplyTracer | undefined;
  readonly fleet: Fleet;
  /** Where other members of the group reach this one; asked when the group is joined. */
  readonly endpoint: () => string | undefined;
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
/** Some heartbeats, by which the others hear of it. */
const HAND_OVER_MS_MAX = 3_000;
const PARTITION_COUNT_WAIT_MS = 3_000;
/** How often to look for stores of other versions that are not needed any more. */
const OUTDATED_WAIT_MS = 3_600_000;

/**
 * The order service without its HTTP side: it joins the group and runs its projections over the assigned partitions.
 *
 * ```
 *  made ──start()──▶ topics ─▶ join the group ─▶ assigned ⇄ partition set
 *                                 ├──handOver()──▶ those who follow its partitions have them; it still answers
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
  readonly #warmUps: WarmUps;
  readonly #stores: PartitionStores;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;
  #membership: Membership | undefined;
  /** The partitions that other members follow. */
  #followed: ReadonlySet<number> = new Set();

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
    this.#warmUps = new WarmUps(clock);
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
    this.#stores = new PartitionStores({
      ...options,
      prefix: "",
      projections: ORDER_SERVICE_PROJECTIONS,
      meter: metrics,
      onSetAside: (partition) => this.#deadLetters.forget(partition),
    });
    this.partitions = new PartitionSet({
      ...common,
      bounds: options.bounds,
      ...this.#stores.ofSet(),
      committed: (partitions) => this.#membership?.committed(partitions) ?? Promise.resolve(new Map()),
      onRestoreProgress: (message, restore) => logger.info({ restore }, message),
      deliverDeadLetters: this.#deadLetters.deliver,
      mayBeginLate: config.log_start === "accept",
      gather_ms: GATHER_MS,
      membership: () => this.#groupState(),
      obstacle: () => this.#topics.waiting ?? this.#groupOutage.failure(0),
      deadLetterFailure: () => this.#deadLetterTrial.failure,
      topics: this.#topics,
      fleetConcerns: () => options.fleet.concerns,
      earlierElsewhere: (partition, startOffset) => earlierState(options.fleet, partition, startOffset),
      hadBefore: (partition) => wasHeld(this.#membership, partition),
      lateStartWait_ms: LATE_START_SESSIONS * config.session_timeout_ms,
      meter: metrics,
      tracer,
      ...(options.onReadable ? { onReadable: options.onReadable } : {}),
    });
  }

  /** See `PartitionStores.appliedFrom`. */
  readonly appliedFrom = (partitions: readonly number[]): ReadonlyMap<number, number> =>
    this.#stores.appliedFrom(partitions, this.partitions.actors);

  start(): void {
    this.partitions.start();
    this.#running = this.#run();
  }

  /** Has standbys take the partitions over, where they would do so after the stop, while this service still answers. */
  async handOver(): Promise<void> {
    await this.#membership?.handOver?.(HAND_OVER_MS_MAX);
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#commit();
    this.#stores.lookForFiles(this.partitions.actors, true);
    await this.partitions.close();
    await this.#deadLetters.close();
    this.#letterNews.tellTheRest();
    await this.#membership?.leave();
    await this.#running;
    this.#stores.release();
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
    const { config, log, clock, logger, fleet, endpoint } = this.#options;
    const { orders_topic: topic } = config;
    const logId = await this.#topics.prepare(this.#ending.signal);
    if (logId === undefined || this.#ending.signal.aborted) return;
    const watching = this.#topics.watch(this.#ending.signal);
    void this.#deadLetterTrial.run(this.#ending.signal);
    this.#stores.begin(logId);
    fleet.begin(logId);
    this.#membership = log.joinGroup({
      group: config.consumer_group,
      topic,
      endpoint: endpoint(),
      standbysPerPartition: config.standbys,
      instance: this.#stores.instance(),
      leaving: config.group_leave,
      localPositions: () => this.#stores.localPositions(this.partitions.actors),
      ready: () => this.partitions.actors.ready(),
      listener: {
        onAssigned: (assignment) => this.#take(assignment),
        onLost: (reason) => void this.#groupOutage.failed(reason),
        onWaiting: (holder) =>
          logger.warn(`The group ${config.consumer_group} is held by ${holder}; this process takes over when that one ends.`),
      },
    });
    for (let lookedAt_ms = Number.NEGATIVE_INFINITY, tidiedAt_ms = clock.now_ms(); !this.#ending.signal.aborted;) {
      if (clock.now_ms() - lookedAt_ms >= PARTITION_COUNT_WAIT_MS) {
        lookedAt_ms = clock.now_ms();
        this.partitions.partitionCount = await log.partitionCount(topic).catch(() => this.partitions.partitionCount);
      }
      await clock.sleep(COMMIT_WAIT_MS, this.#ending.signal);
      this.#lookAtGroup();
      if (this.#warmUps.isDue(this.partitions.actors.ready())) this.#membership.rejoin();
      this.#letterNews.tellWhatIsDue();
      this.#stores.lookForFiles(this.partitions.actors);
      if (clock.now_ms() - tidiedAt_ms >= OUTDATED_WAIT_MS) {
        tidiedAt_ms = clock.now_ms();
        this.#stores.removeOutdated(this.partitions.actors);
      }
      await this.#removeMoved();
      await this.#commit();
    }
    await watching;
  }

  #take(assignment: Assignment): void {
    const { partitions, standbys, warmUps = [], wasAway, memberId, members } = assignment;
    const followed = standbys.length === 0 ? "" : `, ${standbys.length} to follow`;
    this.#options.logger.info({ partitions, standbys }, `${partitions.length} partitions assigned${followed}`);
    this.#followed = new Set(members.flatMap((member) => (member.id === memberId ? [] : member.standbys)));
    this.#warmUps.take(warmUps);
    this.partitions.assign(partitions, standbys, wasAway);
    this.#options.fleet.assigned(assignment);
  }

  async #removeMoved(): Promise<void> {
    const membership = this.#membership;
    const { log, config } = this.#options;
    if (membership === undefined) return;
    await this.#stores.removeMoved(this.partitions.actors, {
      committed: (partitions) => membership.committed(partitions),
      ends: () => log.ends(config.orders_topic),
    });
  }

  #lookAtGroup(): void {
    this.#options.fleet.tellSharedUrls();
    const { state, reason } = this.#membership ?? {};
    if (state === "stable") this.#groupOutage.worked();
    else if (state === "joining" && reason !== undefined) this.#groupOutage.failed(reason);
  }

  async #commit(): Promise<void> {
    const commits = [...this.partitions.actors.commits()];
    const told = ([partition, commit]: (typeof commits)[number]) =>
      [partition, this.#followed.has(partition) ? committedOffset(commit) : { nextOffset: commit.nextOffset }] as const;
    await this.#membership
      ?.commit(new Map(commits.map(told)))
      .catch((e: unknown) => this.#options.logger.debug({ err: e }, "offset commit failed"));
  }
}
