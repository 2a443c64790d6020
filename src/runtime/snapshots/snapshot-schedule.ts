import { AppError, isAppError } from "../../errors.ts";
import { type Clock, within } from "../../system/clock.ts";
import type { SnapshotMeter } from "../../telemetry/meters.ts";
import { type Failure, Outage } from "../read/outage.ts";
import type { HeldStore } from "../store/copy/held-store.ts";
import { isDamage } from "../store/store-failures.ts";
import { reach, type SnapshotSubject } from "./manifest.ts";
import { noLongerWanted } from "./restorer.ts";
import type { Snapshots } from "./snapshots.ts";
import { StorageTrial } from "./storage-trial.ts";
import type { Snapshot } from "./taking.ts";

/** A partition's store of which snapshots are taken. */
export interface SnapshotSource {
  readonly partition: number;
  /** How far the store is saved: the next offset. Undefined while it is not to be copied. */
  reach(): number | undefined;
  /** Holds what is saved; undefined if the store is not to be copied. */
  hold(): HeldStore | undefined;
  /** Called if something in the store turns out to be damaged. */
  onDamaged(reason: string): void;
}

export interface SnapshotScheduleOptions {
  readonly snapshots: Snapshots;
  readonly subject: (partition: number) => SnapshotSubject;
  /** The stores that there are now. */
  readonly sources: () => Iterable<SnapshotSource>;
  /** Whether this process may act for the partitions. */
  readonly isOwner: () => boolean;
  /**
   * Whether this process takes the partition's, where others have the same store. If not, it looks for what they have
   * taken. Absent: it takes those of all.
   */
  readonly takesSnapshots?: ((partition: number) => boolean) | undefined;
  /** How old the newest snapshot of a store may be before another one is taken, if the store has moved on. */
  readonly wait_ms: number;
  readonly clock: Clock;
  readonly snapshotMeter?: SnapshotMeter | undefined;
  readonly onMessage: (partition: number | undefined, message: string, level: "info" | "warn") => void;
}

/** The newest snapshot of a store, as far as this process knows. */
interface NewestSnapshot {
  readonly name: string;
  readonly reach: number;
  /** How far it is in each of its partitions. */
  readonly offsets: ReadonlyMap<number, number>;
  /** On the wall clock of whoever took it. */
  readonly taken_ms: number;
}

/** The newest snapshot of the store that a partition is in, as it is shown with the partition. */
export interface ShownSnapshot {
  /** Everything before this offset of the partition is in it; 0 if none is known that has anything of the partition. */
  readonly offset: number;
  /** Undefined if none is known that has anything of the partition. */
  readonly taken_ms: number | undefined;
  /** As of now. Without a snapshot, for how long the partition has been held. */
  readonly age_ms: number;
}

/** How often to look for stores of which a snapshot is due. */
const LOOK_WAIT_MS = 1_000;
/** No snapshot takes longer: it is given up, so that what is held back for it stays bounded. */
const TAKE_MS_MAX = 1_800_000;
/** How long to wait after a failure, at most; at first it is the least of these and of the interval. */
const RETRY_WAIT_MS = 30_000;
/** How long the last snapshots may keep a process that stops. */
const LAST_MS_MAX = 5_000;
/** A store of which somebody else takes the snapshots has none for so many intervals: then it is taken all the same. */
const OVERDUE_WAITS = 3;
/** How many are taken at the same time while a process stops. */
const LAST_AT_ONCE_MAX = 2;

interface Known {
  newest: NewestSnapshot | undefined;
  /** Before that, nothing is done, on the process's clock. */
  due_ms: number;
}

/**
 * Takes snapshots of the stores that this process owns, one after the other: of each that has moved on, once its newest
 * snapshot is as old as the interval, whoever took that; and a last one when the process stops. Of a store of which
 * somebody else takes them it looks for that one's, and takes one itself if there is none for long.
 *
 * ```
 *  made ──run()──▶ the storage is tried ──▶ looking ──a store is due──▶ taking ──▶ older ones deleted ──▶ looking
 *                                              └──── `ending` aborts ──▶ ended ──takeLast()──▶ ended
 * ```
 */
export class SnapshotSchedule {
  readonly #known = new Map<number, Known>();
  readonly #outages = new Map<number, Outage>();
  /** Since when a store has moved on and whoever takes its snapshots has taken none, on the process's clock. */
  readonly #missingSince_ms = new Map<number, number>();
  #lastUntil_ms: number | undefined;
  #lastUnderWay = 0;
  readonly #trial: StorageTrial;

  constructor(private readonly options: SnapshotScheduleOptions) {
    const { snapshots, clock, onMessage } = options;
    this.#trial = new StorageTrial(snapshots, clock, (message, level) => onMessage(undefined, message, level));
  }

  async run(ending: AbortSignal): Promise<void> {
    const { clock, sources } = this.options;
    await this.#trial.attempt();
    for (;;) {
      await clock.sleep(LOOK_WAIT_MS, ending);
      if (ending.aborted) return;
      for (const source of sources()) {
        if (ending.aborted) return;
        if (this.#isDue(source)) await this.#take(source, () => ending.aborted);
      }
      if (this.failure !== undefined && this.#trial.isDue && (await this.#trial.attempt())) this.#endIdleOutages();
    }
  }

  /** What has failed for the longest time: the storage, or a store's snapshots. */
  get failure(): Failure | undefined {
    const failures = [this.#trial.failure, ...Array.from(this.#outages, ([partition, outage]) => failureOf(partition, outage))];
    return failures.filter((one) => one !== undefined).toSorted((a, b) => a.since_ms - b.since_ms)[0];
  }

  /** Ends the outages of stores that have no snapshot to take, which would show that it works. */
  #endIdleOutages(): void {
    for (const source of this.options.sources()) {
      const now = source.reach();
      const isIdle = now === 0 || now === this.newest(source.partition)?.reach;
      if (isIdle) this.#outages.get(source.partition)?.worked();
    }
  }

  /** The newest snapshot of the store that the partition is in; undefined if none is known. */
  newest(partition: number): NewestSnapshot | undefined {
    return this.#known.get(partition)?.newest;
  }

  /** How it is shown with a partition that has been held since then, on the process's clock. */
  shown(partition: number, heldSince_ms: number): ShownSnapshot {
    const { clock } = this.options;
    const newest = this.newest(partition);
    if (newest === undefined) return { offset: 0, taken_ms: undefined, age_ms: clock.now_ms() - heldSince_ms };
    const offset = newest.offsets.get(partition);
    const age_ms = Math.max(0, clock.wall_ms() - newest.taken_ms);
    return { offset: offset ?? 0, taken_ms: offset === undefined ? undefined : newest.taken_ms, age_ms };
  }

  /** Forgets what is known of the store: others take snapshots of it now. */
  forget(partition: number): void {
    this.#known.delete(partition);
    this.#outages.delete(partition);
    this.#missingSince_ms.delete(partition);
  }

  /** Notes a snapshot that a store was restored from. */
  restored(partition: number, { name, manifest }: Snapshot): void {
    const offsets = new Map(manifest.positions.map((position) => [position.partition, position.nextOffset]));
    this.#note(partition, { name, reach: reach(manifest), offsets, taken_ms: manifest.taken_ms });
  }

  /** Begins the time that there is for the last snapshots, unless it has begun, and returns what is left of it. */
  beginLast(): number {
    const { clock } = this.options;
    this.#lastUntil_ms ??= clock.now_ms() + LAST_MS_MAX;
    return Math.max(0, this.#lastUntil_ms - clock.now_ms());
  }

  /** Takes a snapshot of a store that is about to be closed, if it has moved on and there is time for it. */
  async takeLast(source: SnapshotSource): Promise<void> {
    const { clock } = this.options;
    const until_ms = clock.now_ms() + this.beginLast();
    while (this.#lastUnderWay >= LAST_AT_ONCE_MAX && clock.now_ms() < until_ms) await clock.sleep(LAST_WAIT_MS);
    const hasMoved = (source.reach() ?? 0) !== (this.newest(source.partition)?.reach ?? 0);
    if (clock.now_ms() >= until_ms || !hasMoved || !this.#takes(source.partition)) return;
    this.#lastUnderWay++;
    try {
      const taking = this.#take(source, () => clock.now_ms() >= until_ms, true);
      await within(clock, until_ms - clock.now_ms(), taking);
    } finally {
      this.#lastUnderWay--;
    }
  }

  #isDue(source: SnapshotSource): boolean {
    const { partition } = source;
    const now = source.reach();
    if (now === undefined || now === 0 || !this.options.isOwner()) return false;
    const known = this.#known.get(partition);
    return known === undefined || (this.options.clock.now_ms() >= known.due_ms && now !== known.newest?.reach);
  }

  async #take(source: SnapshotSource, isOver: () => boolean, isLast = false): Promise<void> {
    const { partition } = source;
    const { snapshots, subject, clock, snapshotMeter, onMessage } = this.options;
    const began_ms = clock.now_ms();
    try {
      const isKnown = this.#known.has(partition) && partition !== undefined;
      if (!isKnown || !this.#takes(partition)) await this.#lookForOthers(source);
      if (this.#takes(partition)) this.#missingSince_ms.delete(partition);
      else if (!this.#isOverdue(source)) return this.#lookAgainLater(partition);
      const newest = this.newest(partition);
      if (newest !== undefined && (isLast ? newest.reach === source.reach() : !this.#isDue(source))) return;
      const held = isOver() ? undefined : source.hold();
      if (held === undefined) return;
      const requireWanted = () => this.#requireWanted(began_ms, () => isOver() || source.reach() === undefined);
      const snapshot = await snapshots.take(held, subject(partition), requireWanted);
      this.restored(partition, snapshot);
      const bytes = snapshot.manifest.parts.reduce((sum, part) => sum + part.bytes, 0);
      snapshotMeter?.snapshotTaken(bytes, (clock.now_ms() - began_ms) / 1_000);
      this.#outages.get(partition)?.worked();
      this.#trial.worked();
      const deleted = isOver() ? [] : await snapshots.prune(subject(partition), snapshot);
      for (const name of deleted) onMessage(partition, `The snapshot ${name} was deleted: newer ones are kept.`, "info");
    } catch (e) {
      this.#failed(source, e, isLast || isOver());
    }
  }

  #takes(partition: number): boolean {
    return this.options.takesSnapshots?.(partition) ?? true;
  }

  /** Whoever takes them may be unable to, for example as its store is halted. */
  #isOverdue(source: SnapshotSource): boolean {
    const { clock, wait_ms } = this.options;
    const { partition } = source;
    if (this.newest(partition)?.reach === source.reach()) return false;
    const since_ms = this.#missingSince_ms.get(partition) ?? clock.now_ms();
    this.#missingSince_ms.set(partition, since_ms);
    return clock.now_ms() - since_ms > wait_ms * OVERDUE_WAITS;
  }

  #lookAgainLater(partition: number): void {
    const { clock, wait_ms } = this.options;
    const known = this.#known.get(partition);
    const due_ms = Math.max(known?.due_ms ?? 0, clock.now_ms() + Math.min(wait_ms, RETRY_WAIT_MS));
    this.#known.set(partition, { newest: known?.newest, due_ms });
    this.#outages.get(partition)?.worked();
  }

  /** Looks for the newest one that somebody else has taken: the owner before, or another cart, whose index is the same. */
  async #lookForOthers(source: SnapshotSource): Promise<void> {
    const { snapshots, subject, snapshotMeter } = this.options;
    const [first] = (await snapshots.list(subject(source.partition))).filter(({ isFinished }) => isFinished);
    if (first === undefined) return;
    const manifest = await snapshots.read(first).catch((e: unknown) => {
      if (!isAppError(e, "SNAPSHOT_UNUSABLE")) throw e;
      snapshotMeter?.snapshotDamaged();
      return undefined;
    });
    const now = source.reach() ?? 0;
    // One that is further than this store is not known to be of the same history.
    if (manifest !== undefined && reach(manifest) <= now) this.restored(source.partition, { name: first.name, manifest });
  }

  #note(partition: number, newest: NewestSnapshot): void {
    const { clock, wait_ms } = this.options;
    if (newest.name !== this.newest(partition)?.name) this.#missingSince_ms.delete(partition);
    // Whoever took it may have another time than this machine.
    const age_ms = Math.min(Math.max(clock.wall_ms() - newest.taken_ms, 0), wait_ms);
    this.#known.set(partition, { newest, due_ms: clock.now_ms() + wait_ms - age_ms });
  }

  #requireWanted(began_ms: number, isOver: () => boolean): void {
    const { isOwner, clock } = this.options;
    if (isOver() || !isOwner()) throw noLongerWanted();
    if (clock.now_ms() - began_ms > TAKE_MS_MAX)
      throw new AppError("SNAPSHOT_FAILED", `The snapshot was not taken within ${TAKE_MS_MAX / 60_000} minutes.`);
  }

  #failed(source: SnapshotSource, e: unknown, isEnding: boolean): void {
    const { partition } = source;
    const { clock, wait_ms, snapshotMeter, onMessage } = this.options;
    const known = this.#known.get(partition);
    this.#known.set(partition, { newest: known?.newest, due_ms: clock.now_ms() + Math.min(wait_ms, RETRY_WAIT_MS) });
    if (isAppError(e, "INTERRUPTED") || source.reach() === undefined) return;
    if (isDamage(e)) return source.onDamaged(e.message);
    snapshotMeter?.snapshotFailed();
    if (isAppError(e, "SNAPSHOT_UNUSABLE")) snapshotMeter?.snapshotDamaged();
    if (isEnding) {
      const cause = e instanceof Error ? e.message : String(e);
      return onMessage(partition, `The last snapshot before the stop was not taken, and is not tried again: ${cause}`, "warn");
    }
    const outage = this.#outages.get(partition) ?? this.#newOutage(partition, onMessage);
    outage.failed(e);
  }

  #newOutage(partition: number, onMessage: SnapshotScheduleOptions["onMessage"]): Outage {
    const outage = new Outage("Taking its snapshots", this.options.clock, (message, isOver) =>
      onMessage(partition, message, isOver ? "info" : "warn"),
    );
    this.#outages.set(partition, outage);
    return outage;
  }
}

const LAST_WAIT_MS = 50;

const failureOf = (partition: number, outage: Outage): Failure | undefined => {
  const failure = outage.failure(0);
  return failure && { ...failure, sentence: `Partition ${partition}: ${failure.sentence}` };
};
