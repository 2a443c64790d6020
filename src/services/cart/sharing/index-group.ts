import type { Config } from "../../../config/config.ts";
import type { Fleet } from "../../../fleet/fleet.ts";
import type { Assignment, Membership } from "../../../log/membership.ts";
import type { Log } from "../../../log/port.ts";
import { wasHeld } from "../../../runtime/late-start.ts";
import type { PartitionSet } from "../../../runtime/partition-set.ts";
import type { PartitionStores } from "../../../runtime/partition-stores.ts";
import type { Projection } from "../../../runtime/projection.ts";
import { type Failure, Outage } from "../../../runtime/read/outage.ts";
import { WarmUps } from "../../../runtime/standby/warm-ups.ts";
import type { Clock } from "../../../system/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import type { IndexView } from "../index/index-projection.ts";
import { isSound } from "../index/soundness.ts";
import { type Coverage, indexCommitted } from "./coverage.ts";
import type { Holders } from "./holders.ts";

/** How long the group's word is waited for at the start. A group that has lost a member takes a session to deal out. */
const JOIN_WAIT_MS_MAX = 30_000;
/** The same where the group refuses this cart, or cannot be asked. */
const REFUSED_WAIT_MS_MAX = 10_000;

export interface IndexGroupOptions {
  readonly config: Config;
  readonly log: Pick<Log, "joinGroup" | "ends">;
  readonly partitions: PartitionSet;
  readonly stores: PartitionStores;
  readonly projection: Projection<IndexView>;
  readonly group: string;
  readonly fleet: Fleet;
  /** Where the other carts reach this one; asked when the group is joined. */
  readonly endpoint: () => string | undefined;
  /** How many carts are to have the index of each partition. */
  readonly replicas: number;
  /** Whether this cart places creates. Until then whoever has a partition's index keeps it, if somebody has. */
  readonly isPlacing: () => boolean;
  readonly coverage: Coverage;
  readonly holders: Holders;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The group in which carts share out who reads which partition into an index: its owner, and the standbys that follow
 * it. Both read and answer alike, since nothing rests on who does (I8). A cart that falls out of the group keeps what it
 * has.
 *
 * ```
 *  made ──join()──▶ joining ──assigned──▶ reading its share ⇄ assigned ──leave()──▶ left
 *                      │                       ▲  └── look(), once a second: commits, hears of the others' commits, and tidies
 *                      └─ no word for long ─▶ reading all ──assigned──┘
 * ```
 */
export class IndexGroup {
  readonly #options: IndexGroupOptions;
  readonly #outage: Outage;
  readonly #warmUps: WarmUps;
  #membership: Membership | undefined;
  #assignment: Assignment | undefined;
  #joinedAt_ms: number | undefined;
  #isAlone = false;

  constructor(options: IndexGroupOptions) {
    const { group, clock, logger } = options;
    this.#options = options;
    this.#warmUps = new WarmUps(clock);
    this.#outage = new Outage(`Joining the group ${group}`, clock, (message) => logger.warn(message));
  }

  /** Whether it is settled which partitions this cart reads. */
  get isAssigned(): boolean {
    return this.#assignment !== undefined || this.#isAlone;
  }

  /** Why this cart has no share yet, if something prevents it. */
  get failure(): Failure | undefined {
    return this.isAssigned ? undefined : this.#outage.failure(0);
  }

  /** Joins, unless that was done before. */
  join(): void {
    const { config, group, log, partitions, stores, endpoint, replicas, clock, logger } = this.#options;
    this.#joinedAt_ms ??= clock.now_ms();
    this.#membership ??= log.joinGroup({
      group,
      topic: config.orders_topic,
      endpoint: endpoint(),
      standbysPerPartition: replicas - 1,
      instance: stores.instance(),
      // Whoever else has a partition's index answers as its owner does, so an owner that is away costs nothing.
      leaving: config.group_leave === "auto" ? "never" : config.group_leave,
      localPositions: () => stores.localPositions(partitions.actors),
      ready: () => this.#ready(),
      listener: {
        onAssigned: (assignment) => this.#take(assignment),
        onLost: (reason) => void this.#outage.failed(reason),
        onWaiting: (holder) => logger.warn(`The group ${group} is held by ${holder}.`),
      },
    });
  }

  /** See `wasHeld`. */
  hadBefore(partition: number): Promise<boolean> {
    return wasHeld(this.#membership, partition);
  }

  /**
   * Tells the others how far the owned partitions are, and hears it of those that are not read here, whose stores go once
   * others are known to have them.
   */
  async look(): Promise<void> {
    const membership = this.#membership;
    if (membership === undefined) return;
    const { partitions, coverage, holders, logger, fleet } = this.#options;
    fleet.tellSharedUrls();
    const { state, reason } = membership;
    if (state === "stable") this.#outage.worked();
    else if (state === "joining" && reason !== undefined) this.#outage.failed(reason);
    this.#goAloneIfDue();
    if (this.#warmUps.isDue(this.#ready())) membership.rejoin();
    const others = Array.from({ length: partitions.partitionCount }, (_, partition) => partition).filter(
      (partition) => !holders.isHere(partition) || holders.isHaltedShort(partition),
    );
    try {
      await membership.commit(new Map(this.#commits()));
      if (others.length > 0) coverage.hear(await membership.committed(others));
    } catch (e) {
      logger.debug({ err: e }, "the group's commits failed");
    }
    await this.#removeMoved(membership);
  }

  async #removeMoved(membership: Membership): Promise<void> {
    const { partitions, stores, log, config } = this.#options;
    await stores.removeMoved(partitions.actors, {
      committed: (asked) => membership.committed(asked),
      ends: () => log.ends(config.orders_topic),
    });
  }

  /** Whoever has a partition's index has the same, so that the snapshots of one are enough. */
  takesSnapshots(partition: number): boolean {
    return this.#isAlone || this.#assignment?.partitions.includes(partition) === true;
  }

  async leave(): Promise<void> {
    await this.#membership?.leave();
  }

  #ready(): number[] {
    const { isPlacing, partitions } = this.#options;
    return isPlacing() ? partitions.actors.ready() : [];
  }

  /** The group decides who reads what, and not whether: without its word, all is read here. */
  #goAloneIfDue(): void {
    const { partitions, clock, logger, group } = this.#options;
    const wait_ms_max = this.#outage.failure(0) === undefined ? JOIN_WAIT_MS_MAX : REFUSED_WAIT_MS_MAX;
    if (this.#assignment !== undefined || clock.now_ms() - (this.#joinedAt_ms ?? 0) < wait_ms_max) return;
    if (!this.#isAlone)
      logger.warn(
        `The group ${group} has given this cart no share for ${wait_ms_max / 1_000} s; until it does, the cart has the indexes of all partitions. Where it may not read that group, grant that, or set INDEX_REPLICAS=0.`,
      );
    this.#isAlone = true;
    partitions.assign(Array.from({ length: partitions.partitionCount }, (_, partition) => partition));
  }

  #take(assignment: Assignment): void {
    const { partitions, fleet, logger } = this.#options;
    const { partitions: owned, standbys, warmUps = [] } = assignment;
    this.#assignment = assignment;
    this.#isAlone = false;
    const share = [...owned, ...standbys].toSorted((a, b) => a - b);
    partitions.partitionCount = Math.max(partitions.partitionCount, (share.at(-1) ?? -1) + 1);
    this.#warmUps.take(warmUps);
    partitions.assign(share);
    fleet.assigned(assignment);
    logger.info({ partitions: share }, `The indexes of ${share.length} partitions are this cart's share.`);
  }

  *#commits() {
    const { partitions, projection } = this.#options;
    for (const partition of this.#assignment?.partitions ?? []) {
      const actor = partitions.get(partition);
      const view = isSound(actor) ? actor?.view(projection) : undefined;
      if (actor === undefined || view === undefined) continue;
      const { nextOffset, topicId } = actor.commit;
      yield [partition, indexCommitted({ nextOffset, topicId, placedBy: view.placedBy })] as const;
    }
  }
}
