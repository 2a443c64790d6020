import type { Config } from "../config/config.ts";
import type { CommittedOffset } from "../log/membership.ts";
import type { TopicEnds } from "../log/port.ts";
import type { Clock } from "../system/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Actors } from "./actors.ts";
import type { Projections } from "./projections.ts";
import { isOf, ownerCommit } from "./standby/owner-commit.ts";
import type { State } from "./store/state-dir.ts";

/** How often is looked. In that time a member that works has saved what it had committed, or it commits nothing more. */
export const LOOKS_APART_MS = 3_600_000;
/** As many looks must have found another member further, and each of them further than the one before. */
const LOOKS_WANTED = 3;
/** A store that was written a moment ago is kept, whatever is set. */
export const MOVED_KEPT_MS_MIN = 60_000;

/** What the others are asked. */
export interface Others {
  /** What the owners of these partitions have committed to the group. */
  readonly committed: (partitions: readonly number[]) => Promise<ReadonlyMap<number, CommittedOffset>>;
  /** What the topic holds now. */
  readonly ends: () => Promise<TopicEnds>;
}

export interface MovedStoresOptions {
  /** See `PartitionStoresOptions`. */
  readonly prefix: string;
  readonly config: Config;
  readonly projections: Projections;
  /** Whether the partition has halted here, and its store could not be marked. */
  readonly isUnmarked: (partition: number) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Deletes the stores of partitions that other members have, so that not every disk comes to hold every partition. A store
 * is a cache of the log only while the log has its head, so it goes only once another member is known to have more: see
 * decision 36.
 *
 * ```
 *  not held ──look: commit c1──▶ c1 ──look: c2 > c1──▶ c1, c2 ──look: c3 > c2──▶ stores that end before c1 are deleted
 *      ▲                          └───────────────────────┴── held here again, or a lower commit: from the start
 * ```
 */
export class MovedStores {
  /** By partition, what was committed at the latest looks that found more than the one before, ascending. */
  readonly #seen = new Map<number, readonly number[]>();
  #lookedAt_ms: number;

  constructor(private readonly options: MovedStoresOptions) {
    this.#lookedAt_ms = options.clock.now_ms();
  }

  get isDue(): boolean {
    return this.options.clock.now_ms() - this.#lookedAt_ms >= LOOKS_APART_MS;
  }

  /** Notes that the partition is held here: what is committed next may be this member's own word. */
  held(partition: number): void {
    this.#seen.delete(partition);
  }

  /** Returns the partitions of which stores were deleted. Rejects if the log or the group cannot be asked. */
  async look(state: State, actors: Actors, others: Others): Promise<number[]> {
    const { config, clock } = this.options;
    this.#lookedAt_ms = clock.now_ms();
    for (const partition of actors.keys()) this.held(partition);
    const unheld = state.partitions(config.orders_topic).filter((partition) => !actors.has(partition));
    if (unheld.length === 0) return [];
    // In this order, so that what is committed of this topic lies before its end.
    const committed = await others.committed(unheld);
    const ends = await others.ends();
    // Nothing is awaited any more: who is given a partition now finds its store or none.
    return unheld.filter((partition) => {
      if (actors.has(partition)) return false;
      const below = this.#reachedElsewhere(partition, committed.get(partition), ends);
      return below !== undefined && this.#remove(state, partition, below, ends.topicId);
    });
  }

  /** Up to where another member has everything for good; undefined if that is not known. */
  #reachedElsewhere(partition: number, offset: CommittedOffset | undefined, ends: TopicEnds): number | undefined {
    const { config, isUnmarked } = this.options;
    const own = ends.partitions[partition];
    if (offset === undefined || own === undefined || "unavailable" in own) return undefined;
    const commit = ownerCommit(offset);
    const seen = this.#seen.get(partition) ?? [];
    const last = seen.at(-1);
    // One that has not moved may be the last word of a member that is gone, or has halted.
    if (commit.nextOffset === last) return undefined;
    const isOfTopic = isOf(commit, ends.topicId, own.endOffset);
    const goesOn = isOfTopic && last !== undefined && commit.nextOffset > last;
    const now = [...(goesOn ? seen : []), ...(isOfTopic ? [commit.nextOffset] : [])].slice(-LOOKS_WANTED);
    this.#seen.set(partition, now);
    if (now.length < LOOKS_WANTED || isUnmarked(partition)) return undefined;
    // Whoever may begin late can be further, and lack what the log has lost.
    return config.log_start === "accept" && own.startOffset > 0 ? undefined : now[0];
  }

  #remove(state: State, partition: number, below: number, topicId: string | undefined): boolean {
    const { config, clock, logger, projections, prefix } = this.options;
    const before_wall_ms = clock.wall_ms() - Math.max(config.old_stores_kept_ms, MOVED_KEPT_MS_MIN);
    try {
      const paths = state.removeMoved(config.orders_topic, partition, projections, { before_wall_ms, below, topicId });
      for (const path of paths)
        logger.info({ partition, path }, `${prefix}The store of a partition that another member has was deleted.`);
      return paths.length > 0;
    } catch (e) {
      logger.warn({ partition, err: e }, `${prefix}The store of a partition that another member has could not be deleted.`);
      return false;
    }
  }
}
