import { within } from "../../system/clock.ts";
import type { PartitionActor } from "../actor/actor.ts";
import { SNAPSHOTS_FAIL, type TopicWarning } from "../held-partitions.ts";
import type { Failure } from "../read/outage.ts";
import type { HeldStore } from "../store/copy/held-store.ts";
import type { Stores } from "../store/store-opening.ts";
import type { Restorer } from "./restorer.ts";
import { type ShownSnapshot, SnapshotSchedule, type SnapshotScheduleOptions, type SnapshotSource } from "./snapshot-schedule.ts";

export interface SetSnapshotsOptions extends Omit<SnapshotScheduleOptions, "sources" | "isOwner" | "takesSnapshots" | "clock"> {
  /** Makes stores of snapshots. */
  readonly restorer: Restorer;
}

type Surroundings = SetSnapshotsOptions & Pick<SnapshotScheduleOptions, "isOwner" | "takesSnapshots" | "clock">;

/**
 * The snapshots of a set of partitions: those that are taken of its stores, and those that its stores are made of.
 *
 * ```
 *  made ──start()──▶ taking ──ended()──▶ only the last ones are taken, while actors close
 * ```
 */
export class SetSnapshots {
  readonly #schedule: SnapshotSchedule;
  #running: Promise<void> | undefined;

  constructor(
    private readonly actors: ReadonlyMap<number, PartitionActor>,
    private readonly options: Surroundings,
  ) {
    this.#schedule = new SnapshotSchedule({ ...options, sources: () => this.#sources() });
  }

  start(ending: AbortSignal): void {
    this.#running = this.#schedule.run(ending);
  }

  /** Resolves once no snapshot is being taken any more, or soon. */
  async ended(): Promise<void> {
    await within(this.options.clock, this.#schedule.beginLast(), Promise.resolve(this.#running));
  }

  /** See `Stores.fetchSnapshot`. */
  get fetch(): NonNullable<Stores["fetchSnapshot"]> {
    const { restorer } = this.options;
    return async (partition, ends, requireWanted) => {
      const fetched = await restorer.fetch(partition, ends, requireWanted);
      if (!("place" in fetched)) return fetched;
      const place = async (onReady: () => void): Promise<void> => {
        await fetched.place(onReady);
        this.#schedule.restored(partition, fetched.snapshot);
      };
      return { ...fetched, place };
    };
  }

  /** See `SnapshotSchedule.shown`. */
  shown(partition: number, heldSince_ms: number): ShownSnapshot {
    return this.#schedule.shown(partition, heldSince_ms);
  }

  /** Says what fails and what to do, while snapshots of this topic's stores fail. */
  warning(topic: string): TopicWarning | undefined {
    const { failure } = this.#schedule;
    return failure && snapshotsFail(topic, failure);
  }

  /** Notes that the partition is not held any more. */
  forget(partition: number): void {
    this.#schedule.forget(partition);
  }

  /** What to do once a partition is saved that is about to be closed. */
  lastOf(actor: PartitionActor): ((hold: () => HeldStore) => Promise<void>) | undefined {
    if (actor.duty === "standby") return undefined;
    const source = sourceOf(actor);
    return (hold) => this.#schedule.takeLast({ ...source, reach: () => actor.savedOffset, hold });
  }

  *#sources(): Iterable<SnapshotSource> {
    // The owner's are enough: a standby has the same rows.
    for (const actor of this.actors.values()) if (actor.duty === "owner") yield sourceOf(actor);
  }
}

const snapshotsFail = (topic: string, { sentence, since_ms }: Failure): TopicWarning => ({
  topic,
  code: SNAPSHOTS_FAIL,
  detail: `${sentence.replace(/\.?$/, ".")} Until that works, there is no newer snapshot, and a state that is made anew needs more of the log. Look at SNAPSHOT_URL, the way to it, the rights to write and to delete there, and its room. The service goes on by itself.`,
  since: new Date(since_ms).toISOString(),
});

const sourceOf = (actor: PartitionActor): SnapshotSource => ({
  partition: actor.partition,
  reach: () => (actor.isSound ? actor.savedOffset : undefined),
  hold: () => actor.hold(),
  onDamaged: (reason) => actor.damaged(reason),
});
