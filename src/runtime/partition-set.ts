import type { AppError } from "../errors.ts";
import type { Clock } from "../system/clock.ts";
import type { BackoffLimits } from "../log/backoff.ts";
import type { Log } from "../log/port.ts";
import type { Random } from "../system/random.ts";
import type { ApplyTracer } from "../telemetry/tracer.ts";
import { PartitionActor } from "./actor/actor.ts";
import { standbyDisagrees } from "./actor/actor-errors.ts";
import { Actors } from "./actors.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { ActorEnvironment } from "./actor/actor-environment.ts";
import { type Asker, EndsInquiry } from "./read/ends-inquiry.ts";
import { LogFailures } from "./read/log-failures.ts";
import type { Failure } from "./read/outage.ts";
import type { FleetWarning, HeldPartitions, RestoreProgress, TopicsStanding, TopicWarning } from "./held-partitions.ts";
import { SetSnapshots, type SetSnapshotsOptions } from "./snapshots/set-snapshots.ts";
import type { Question } from "./read/question.ts";
import { ReadLoop } from "./read/read-loop.ts";
import { RegularLook } from "./read/regular-look.ts";
import { RestoreMeter } from "./read/restore-meter.ts";
import type { DutyKind } from "./standby/duty.ts";
import type { OwnerCommit } from "./standby/owner-commit.ts";
import { OwnerWatch, type OwnerWatchOptions } from "./standby/owner-watch.ts";
import { type Replacement, StoreOpening, type Stores } from "./store/store-opening.ts";

/** A disk that damages a partition's store more often than this is not trusted with another one. */
const REBUILDS_MAX = 3;

/** How much is done at once. A simulation draws lower numbers, so that the few records of its world reach them. */
export interface RuntimeBounds {
  /** How many rows may be in memory only. */
  readonly unsaved_rows_max?: number;
  /** How many records are applied in one turn of the event loop, not counting the last batch. */
  readonly turn_records_max?: number;
}

export interface PartitionSetOptions
  extends
    Omit<
      ActorEnvironment,
      | "clock"
      | "onAwaited"
      | "onEndWanted"
      | "isThrottled"
      | "onDamaged"
      | "onDisagreement"
      | "onOutrun"
      | "newestSnapshot"
      | "onWarning"
      | "storePath"
    >,
    Omit<Stores, "fetchSnapshot"> {
  readonly log: Log;
  readonly topic: string;
  readonly tracer?: ApplyTracer | undefined;
  /** Reports restore progress: a message, and the figures while the restore runs. */
  readonly onRestoreProgress?: (message: string, progress: RestoreProgress | undefined) => void;
  /** What the owners of these partitions have committed to the group. Absent if no partition is ever followed. */
  readonly committed?: OwnerWatchOptions["committed"];
  /** Whether this process has its partitions, in one word. */
  readonly membership: () => string;
  /**
   * Why reading cannot begin yet, if the cause lies before reading: the topic cannot be reached, or the group refuses.
   */
  readonly obstacle?: () => Failure | undefined;
  /** Why dead letters could not be appended if there were any. */
  readonly deadLetterFailure?: () => string | undefined;
  readonly topics?: TopicsStanding;
  /** See `GoneStores`. */
  readonly storesGone?: () => TopicWarning | undefined;
  readonly fleetConcerns?: () => readonly FleetWarning[];
  /** How many processes are to have each partition; absent where each has all. */
  readonly copiesWanted?: number;
  /** Without it, what is best. */
  readonly bounds?: RuntimeBounds | undefined;
  /** How long records may gather between two fetches, while nobody waits for them. */
  readonly gather_ms?: number;
  /** Called with a message that a person should read. The message concerns all partitions if none is named. */
  readonly onWarning: (partition: number | undefined, message: string, level?: "info" | "warn" | "error") => void;
  /** How snapshots are taken of the stores, and stores are made of them; absent if there is no storage of any. */
  readonly snapshots?: SetSnapshotsOptions | undefined;
  /** See `SnapshotScheduleOptions.takesSnapshots`. */
  readonly takesSnapshots?: (partition: number) => boolean;
  readonly backoff: BackoffLimits;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * The actors of the partitions that this process holds: those that it owns, and those that it follows as a standby.
 * Clients are answered from the first alone. One loop reads for all of them (ReadLoop), and another checks regularly
 * that they make progress.
 *
 * ```
 *  made ──start()──▶ reading and looking ──close()──▶ closed
 *
 *  assign(owned, followed):  the gained ones are opened (StoreOpening), the lost ones closed; where owned becomes followed
 *                            or the other way round, the actor stays
 *  a damaged store:     its actor is closed, and a new one gets a new store, read from the log's start
 *  another digest than the owner's:  likewise, once; then the standby halts
 *  a standstill:        the connections are made anew
 * ```
 */
export class PartitionSet implements HeldPartitions {
  partitionCount = 0;
  /** Those of all partitions, owned or followed. */
  readonly actors = new Actors();
  readonly #closing = new Map<number, Promise<void>>();
  readonly #opening: StoreOpening;
  /** The partitions whose standby was rebuilt because its digest was not the owner's. */
  readonly #disagreed = new Set<number>();
  /** How often each partition's damaged store was replaced. */
  readonly #rebuilds = new Map<number, number>();
  readonly #ending = new AbortController();
  readonly #failures: LogFailures;
  readonly #inquiry: EndsInquiry<Question | undefined, Asker<Question | undefined>>;
  readonly #restoreMeter: RestoreMeter;
  readonly #checkpoints: Checkpoints;
  readonly #readLoop: ReadLoop;
  readonly #look: RegularLook;
  readonly #snapshots: SetSnapshots | undefined;
  #running: Promise<unknown> | undefined;

  constructor(private readonly options: PartitionSetOptions) {
    const { topic, clock, onWarning, bounds, onRestoreProgress = () => undefined } = options;
    this.#failures = new LogFailures(topic, clock, (message) => onWarning(undefined, message));
    this.#restoreMeter = new RestoreMeter(clock, onRestoreProgress);
    this.#inquiry = new EndsInquiry({
      ...options,
      outage: this.#failures.ends,
      onHeard: () => this.#restoreMeter.note(this.actors.values()),
    });
    this.#snapshots = options.snapshots && new SetSnapshots(this.actors, { ...options, ...options.snapshots });
    this.#opening = new StoreOpening({
      ...options,
      fetchSnapshot: this.#snapshots?.fetch,
      ending: this.#ending.signal,
      isHeld: (actor) => this.#holds(actor),
      ask: (asker) => this.#inquiry.ask(asker),
    });
    this.#checkpoints = new Checkpoints({ actors: this.actors, clock, ...bounds });
    this.#readLoop = new ReadLoop({
      ...options,
      ...bounds,
      checkpoints: this.#checkpoints,
      actors: this.actors,
      failures: this.#failures,
      restoreMeter: this.#restoreMeter,
    });
    this.#look = new RegularLook({
      ...options,
      actors: this.actors,
      failures: this.#failures,
      inquiry: this.#inquiry,
      readLoop: this.#readLoop,
    });
  }

  /** Begins to read for the assigned partitions, until `close`. Partitions may be assigned before or after it. */
  start(): void {
    const ending = this.#ending.signal;
    const { committed, clock } = this.options;
    const watch = committed && new OwnerWatch({ standbys: () => this.standbys(), committed, clock });
    const loops = [this.#readLoop, this.#checkpoints, this.#look, ...(watch ? [watch] : [])];
    this.#running = Promise.all(loops.map((loop) => loop.run(ending)));
    this.#snapshots?.start(ending);
  }

  get membership(): string {
    return this.options.membership();
  }

  get mayBeReplaced(): boolean {
    return !this.options.isOwner();
  }

  get topics(): TopicsStanding | undefined {
    return this.options.topics;
  }
  get snapshotWarning(): TopicWarning | undefined {
    return this.options.storesGone?.() ?? this.#snapshots?.warning(this.options.topic);
  }
  get fleetConcerns(): readonly FleetWarning[] | undefined {
    return this.options.fleetConcerns?.();
  }
  get copiesWanted(): number | undefined {
    return this.options.copiesWanted;
  }
  get readFailure(): string | undefined {
    return this.#failure?.sentence;
  }
  get readFailingSince_ms(): number | undefined {
    return this.#failure?.since_ms;
  }

  get deadLetterFailure(): string | undefined {
    return this.options.deadLetterFailure?.();
  }

  get #failure(): Failure | undefined {
    const obstacle = this.options.obstacle?.();
    const held = this.held();
    return obstacle ?? (held.length === 0 ? undefined : this.#failures.readFailure(held));
  }

  get standstill(): string | undefined {
    return this.#look.standstill;
  }
  get restore(): RestoreProgress | undefined {
    return this.#restoreMeter.progress;
  }

  held(): PartitionActor[] {
    return this.actors.of("owner");
  }
  standbys(): PartitionActor[] {
    return this.actors.of("standby");
  }

  get(partition: number): PartitionActor | undefined {
    return this.actors.one(partition, "owner");
  }

  hurry(): void {
    this.#readLoop.hurry();
  }

  /** Takes the whole new assignment. What was owned before and still is goes on undisturbed, unless this process `wasAway`. */
  assign(owned: readonly number[], followed: readonly number[] = [], wasAway = false): void {
    if (this.#ending.signal.aborted) return;
    const duties = new Map<number, DutyKind>(followed.map((partition) => [partition, "standby"]));
    for (const partition of owned) duties.set(partition, "owner");
    for (const [partition, actor] of this.actors) {
      const duty = duties.get(partition);
      if (duty === undefined) this.#remove(partition);
      else actor.take(duty, wasAway);
    }
    const gained = [...duties].filter(([partition]) => !this.actors.has(partition));
    if (gained.length > 0) this.#add(new Map(gained));
  }

  #add(duties: ReadonlyMap<number, DutyKind>): void {
    const added: PartitionActor[] = [];
    const added_ms = this.options.clock.now_ms();
    for (const [partition, duty] of duties) {
      const environment: ActorEnvironment = {
        ...this.options,
        storePath: () => this.options.storePath(partition),
        onAwaited: () => this.hurry(),
        onEndWanted: () => this.#inquiry.ask(actor),
        isThrottled: () => this.#readLoop.isThrottled,
        onDamaged: (reason) => this.#damaged(partition, reason),
        onDisagreement: (commit) => this.#disagrees(actor, commit),
        onOutrun: this.#onOutrun(partition),
        newestSnapshot: () => this.#snapshots?.shown(partition, added_ms),
      };
      const actor: PartitionActor = new PartitionActor(partition, environment, duty);
      this.actors.set(partition, actor);
      added.push(actor);
    }
    void this.#opening.open(added, (partition) => this.#closing.get(partition));
  }

  #remove(partition: number): void {
    const closing = this.actors.get(partition)?.close();
    this.actors.delete(partition);
    this.#snapshots?.forget(partition);
    this.#opening.forget(partition);
    const closed = closing?.finally(() => this.#closing.delete(partition));
    if (closed) this.#closing.set(partition, closed);
  }

  /**
   * Sets the partition's store aside and rebuilds it from the log's start. Keeps the store if the log cannot rebuild
   * it.
   */
  rebuild(partition: number, reason: string): void {
    this.#replace(partition, { is: "asked", reason });
  }

  #replace(partition: number, replacement: Replacement): void {
    const duty = this.actors.get(partition)?.duty;
    if (this.#ending.signal.aborted || duty === undefined) return;
    this.#opening.condemn(partition, replacement);
    this.#remove(partition);
    this.#add(new Map([[partition, duty]]));
  }

  /** The owner goes on (I7). A standby that still disagrees after it was folded anew from the log needs a person. */
  #disagrees(standby: PartitionActor, { nextOffset, digest = "" }: OwnerCommit): void {
    const { partition, digest: own = "" } = standby;
    const error = standbyDisagrees(nextOffset, digest, own, this.options.storePath(partition));
    if (this.#disagreed.has(partition)) return standby.halt(error);
    this.#disagreed.add(partition);
    this.options.onWarning(partition, `${error.message} The standby is rebuilt from the log once.`, "error");
    this.#replace(partition, { is: "asked", reason: "its digest is not the owner's" });
  }

  #onOutrun(partition: number): ((error: AppError) => void) | undefined {
    if (this.#snapshots === undefined) return undefined;
    return (error) => this.#replace(partition, { is: "outrun", error });
  }

  #damaged(partition: number, reason: string): void {
    const { storePath, onWarning } = this.options;
    const rebuilds = (this.#rebuilds.get(partition) ?? 0) + 1;
    if (rebuilds > REBUILDS_MAX)
      return onWarning(
        partition,
        `The store ${storePath(partition)} is damaged again, after ${REBUILDS_MAX} new ones. Look at the disk, then restart.`,
      );
    this.#rebuilds.set(partition, rebuilds);
    this.#replace(partition, { is: "unusable", reason });
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#readLoop.hurry();
    this.#inquiry.close();
    await this.#snapshots?.ended();
    await Promise.all([...this.actors.values()].map((actor) => actor.close(this.#snapshots?.lastOf(actor))));
    await this.#readLoop.close();
    await this.#running;
    await Promise.all(this.#closing.values());
  }

  #holds(actor: PartitionActor): boolean {
    return !this.#ending.signal.aborted && this.actors.get(actor.partition) === actor;
  }
}
