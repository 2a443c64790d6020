import type { Config } from "../config/config.ts";
import type { GroupInstance } from "../log/membership.ts";
import type { ObjectStorage } from "../storage/object-storage.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { PartitionMeter, SnapshotMeter } from "../telemetry/meters.ts";
import type { Actors } from "./actors.ts";
import { GoneStores } from "./gone-stores.ts";
import { MovedStores, type Others } from "./moved-stores.ts";
import type { PartitionSetOptions } from "./partition-set.ts";
import { kindWord, type Projections, storeKindOf } from "./projections.ts";
import type { Compression } from "./snapshots/compression.ts";
import { Restorer } from "./snapshots/restorer.ts";
import type { SetSnapshotsOptions } from "./snapshots/set-snapshots.ts";
import { Snapshots } from "./snapshots/snapshots.ts";
import { type ClaimState, type State, statePath } from "./store/state-dir.ts";
import type { StoreIdentity, Unusable } from "./store/store-file.ts";
import { LOG_WENT_ON } from "./store/store-opening.ts";
import { PartitionStore } from "./store/store.ts";

/** The reason given when a store with nothing wrong is rebuilt. */
export const REBUILD_ASKED = "an operator asked for it";
/** The reasons that tell of no damage. */
const SOUND: readonly string[] = [REBUILD_ASKED, LOG_WENT_ON];

export interface PartitionStoresOptions {
  /** Comes before each message, to tell whose store it is about: empty, or text that ends with ": ". */
  readonly prefix: string;
  readonly config: Config;
  readonly projections: Projections;
  readonly claimState: ClaimState;
  /** Where snapshots of the stores are kept; absent: none are taken. */
  readonly snapshots?: { readonly storage: ObjectStorage; readonly compression: Compression } | undefined;
  readonly snapshotMeter?: SnapshotMeter | undefined;
  readonly meter?: PartitionMeter | undefined;
  readonly onSetAside?: (partition: number) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Where a service keeps the stores of its partitions, each in files of its own: what a partition set is given to open
 * them, to set them aside, and to make them of snapshots, and what the group is told of them.
 *
 * ```
 *  made ──begin(), the log is known──▶ can open ──a store is needed──▶ state claimed ──release()──▶ released
 * ```
 */
export class PartitionStores {
  readonly #options: PartitionStoresOptions;
  #logId = "";
  #state: State | undefined;
  /** How much each store has, by partition, as last known; undefined until the state is claimed. */
  #positions: Map<number, number> | undefined;
  readonly #moved: MovedStores;
  readonly #gone: GoneStores;
  /** Why partitions have halted whose stores could not be marked. */
  readonly #unmarked = new Map<number, string>();

  constructor(options: PartitionStoresOptions) {
    this.#options = options;
    this.#moved = new MovedStores({ ...options, isUnmarked: (partition) => this.#unmarked.has(partition) });
    this.#gone = new GoneStores({ ...options, topic: options.config.orders_topic });
  }

  begin(logId: string): void {
    this.#logId = logId;
  }

  /** Claims the state only when it is needed: a member that waits for another one takes over that one's stores. */
  claimed(): State {
    return (this.#state ??= this.#options.claimState(this.#logId, this.#options.projections));
  }

  release(): void {
    this.#gone.tellLost();
    this.#state?.release();
  }

  /** What a partition set needs to know of its stores. */
  ofSet(): Pick<
    PartitionSetOptions,
    "openStore" | "storePath" | "setStoreAside" | "onHalted" | "storeKind" | "snapshots" | "storesGone"
  > {
    return {
      openStore: (partition) => this.#open(partition),
      storePath: (partition) => this.#path(partition),
      setStoreAside: (partition, reason) => this.#setAside(partition, reason),
      onHalted: (partition, why) => this.#markHalted(partition, why),
      storeKind: kindWord(storeKindOf(this.#options.projections)),
      snapshots: this.#snapshots(),
      storesGone: () => this.#gone.warning,
    };
  }

  /**
   * How much the stores have, also those that are not open now. A failing disk is reported by the partitions that are
   * assigned, and is no reason to stay out of the group.
   */
  localPositions(actors: Actors): ReadonlyMap<number, number> {
    try {
      this.#positions ??= this.claimed().positions(this.#options.config.orders_topic, this.#options.projections);
    } catch {
      return actors.positions();
    }
    // Those that are open and not among these are of no use.
    for (const { partition, hasStore } of actors.values()) if (hasStore) this.#positions.delete(partition);
    for (const [partition, offsets] of actors.positions()) this.#positions.set(partition, offsets);
    return this.#positions;
  }

  /**
   * Which of the partitions have applied records here, each with the first offset: 0 where it is not known, as its store
   * is of another version or cannot be read. Throws if the disk cannot be looked at.
   */
  appliedFrom(partitions: readonly number[], actors: Actors): ReadonlyMap<number, number> {
    const from = new Map<number, number>();
    for (const partition of partitions) {
      const actor = actors.get(partition);
      if (actor !== undefined && actor.nextOffset > 0) from.set(partition, actor.startedAt);
      else {
        const stored = this.claimed().appliedFrom(this.#options.config.orders_topic, partition);
        if (stored !== undefined) from.set(partition, stored);
      }
    }
    return from;
  }

  /** What names this process in the group across restarts. */
  instance(): GroupInstance {
    const { logger, prefix } = this.#options;
    const orNone = (ask: () => string) => {
      try {
        return ask();
      } catch (e) {
        logger.warn(
          { err: e },
          `${prefix}There is no instance id, as the state cannot be used: after a restart the group deals out anew.`,
        );
        return undefined;
      }
    };
    return {
      id: () => orNone(() => this.claimed().instanceId()),
      renew: () => void orNone(() => this.claimed().renewInstanceId()),
    };
  }

  /** A store of another version is kept for going back to it, and at least until this version's own has caught up. */
  removeOutdated(actors: Actors): void {
    const { config, clock, logger, projections, prefix } = this.#options;
    const before_ms = clock.wall_ms() - config.old_stores_kept_ms;
    for (const { partition, state } of actors.values()) {
      if (state !== "running") continue;
      try {
        const paths = this.claimed().removeOutdated(config.orders_topic, partition, projections, before_ms);
        for (const path of paths) logger.info({ partition, path }, `${prefix}A store of another version was deleted.`);
      } catch (e) {
        logger.warn({ partition, err: e }, `${prefix}A store of another version could not be deleted.`);
      }
    }
  }

  /**
   * Deletes the stores of partitions that have moved to another member; see MovedStores. To be called often: it looks only
   * now and then. A member that waits for another one has claimed nothing, and does not for this.
   */
  async removeMoved(actors: Actors, others: Others): Promise<void> {
    const { logger, prefix } = this.#options;
    if (this.#state === undefined || !this.#moved.isDue) return;
    for (const [partition, why] of this.#unmarked) {
      if (actors.get(partition)?.state === "running") this.#unmarked.delete(partition);
      else this.#markHalted(partition, why);
    }
    try {
      for (const partition of await this.#moved.look(this.#state, actors, others)) this.#positions?.delete(partition);
    } catch (e) {
      logger.debug({ err: e }, `${prefix}What others have of the partitions that have moved to them is not known now.`);
    }
  }

  /**
   * Looks whether the files of the open stores are still there; see GoneStores. To be called often: it looks only now and
   * then, but always `atStop`.
   */
  lookForFiles(actors: Actors, atStop = false): void {
    if (this.#state !== undefined && (atStop || this.#gone.isDue)) this.#gone.look(this.#state, actors);
  }

  /** A disk that is full does not keep a partition from halting; its store is marked as soon as that can be done. */
  #markHalted(partition: number, why: string): void {
    const { logger, prefix } = this.#options;
    this.#unmarked.set(partition, why);
    try {
      this.#state?.noteHalt(this.#name(this.#state, partition), why);
      this.#unmarked.delete(partition);
    } catch (e) {
      logger.warn({ partition, err: e }, `${prefix}Why the partition has halted could not be kept beside its store.`);
    }
  }

  #path(partition: number): string {
    if (this.#state === undefined) return statePath(this.#options.config.data_dir, this.#logId);
    return this.#state.path(this.#name(this.#state, partition));
  }

  #open(partition: number): PartitionStore | Unusable {
    const { projections, meter } = this.#options;
    const state = this.claimed();
    this.#moved.held(partition);
    const name = this.#name(state, partition);
    const opened = state.open(name, projections, this.#identityOf(partition));
    if ("unusable" in opened) return opened;
    this.#gone.opened(state, partition, name);
    return PartitionStore.open(opened.files, projections, partition, meter);
  }

  #snapshots(): SetSnapshotsOptions | undefined {
    const { config, projections, clock, random, logger, snapshotMeter, prefix } = this.#options;
    if (this.#options.snapshots === undefined) return undefined;
    const snapshots = new Snapshots({ ...this.#options.snapshots, clock, random, kept: config.snapshots_kept });
    const kind = storeKindOf(projections);
    const subject = (partition: number) => ({ logId: this.#logId, topic: config.orders_topic, partition, kind });
    const begin = (partition: number) => {
      const state = this.claimed();
      return state.restore(this.#name(state, partition), projections, this.#identityOf(partition));
    };
    const onMessage = (partition: number | undefined, message: string, level: "info" | "warn") =>
      logger[level]({ partition }, prefix + message);
    const restorer = new Restorer({ snapshots, subject, begin, snapshotMeter, onMessage });
    return { snapshots, subject, restorer, wait_ms: config.snapshot_wait_ms, snapshotMeter, onMessage };
  }

  #setAside(partition: number, reason: string): void {
    const { clock, logger, snapshots, meter, onSetAside, prefix } = this.#options;
    const state = this.claimed();
    const path = state.setAside(this.#name(state, partition), clock.wall_ms());
    this.#positions?.delete(partition);
    this.#unmarked.delete(partition);
    if (!SOUND.includes(reason)) meter?.storeSetAside(partition);
    onSetAside?.(partition);
    const why = reason === REBUILD_ASKED ? "as an operator asked for its rebuild" : "as it was not usable";
    logger.warn(
      { partition, path, reason },
      `${prefix}The store was set aside, ${why}; it is rebuilt from the log${snapshots === undefined ? "" : ", or from a snapshot"}.`,
    );
  }

  #name(state: State, partition: number): string {
    return state.storeName(this.#options.config.orders_topic, partition, this.#options.projections);
  }

  #identityOf(partition: number): StoreIdentity {
    return { logId: this.#logId, topic: this.#options.config.orders_topic, partition };
  }
}
