import { type Clock, within } from "../system/clock.ts";
import type { BackoffLimits } from "../log/backoff.ts";
import type { Log } from "../log/port.ts";
import type { Random } from "../system/random.ts";
import type { ApplyTracer } from "../telemetry/tracer.ts";
import { PartitionActor } from "./actor/actor.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { ActorEnvironment } from "./actor/actor-environment.ts";
import { type Asker, EndsInquiry } from "./read/ends-inquiry.ts";
import { lostHeads } from "./topics/lost-heads.ts";
import { LogFailures } from "./read/log-failures.ts";
import type { Failure } from "./read/outage.ts";
import type { HeldPartitions, RestoreProgress, TopicsStanding } from "./held-partitions.ts";
import type { Question } from "./actor/reading.ts";
import { ReadLoop } from "./read/read-loop.ts";
import { RestoreMeter } from "./read/restore-meter.ts";
import { Standstill } from "./actor/standstill.ts";
import { StoreOpening, type Stores } from "./store/store-opening.ts";

/** How often the set checks whether a partition stands still, and how long the log may take to tell its ends. */
export const LOOK_WAIT_MS = 5_000;
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
    Omit<ActorEnvironment, "clock" | "onAwaited" | "onEndWanted" | "isThrottled" | "onDamaged" | "onWarning" | "storePath">,
    Stores {
  readonly log: Log;
  readonly topic: string;
  /**
   * Called when a store is damaged, if the set's owner replaces the store and not the set itself. The partition stays
   * halted until then.
   */
  readonly onStoreDamaged?: (reason: string) => void;
  readonly tracer?: ApplyTracer | undefined;
  /** Reports restore progress: a message, and the figures while the restore runs. */
  readonly onRestoreProgress?: (message: string, progress: RestoreProgress | undefined) => void;
  /** Whether this process has its partitions, in one word. */
  readonly membership: () => string;
  /**
   * Why reading cannot begin yet, if the cause lies before reading: the topic cannot be reached, or the group refuses.
   */
  readonly obstacle?: () => Failure | undefined;
  /** Why dead letters could not be appended if there were any. */
  readonly deadLetterFailure?: () => string | undefined;
  readonly topics?: TopicsStanding;
  /** Without it, what is best. */
  readonly bounds?: RuntimeBounds | undefined;
  /** How long records may gather between two fetches, while nobody waits for them. */
  readonly gather_ms?: number;
  /** Called with a message that a person should read. The message concerns all partitions if none is named. */
  readonly onWarning: (partition: number | undefined, message: string, level?: "info" | "warn" | "error") => void;
  readonly backoff: BackoffLimits;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * The actors of the partitions this process holds. One loop reads for all of them (ReadLoop), and another checks
 * regularly that they make progress.
 *
 * ```
 *  made ──start()──▶ reading and looking ──close()──▶ closed
 *
 *  assign(partitions):  the gained ones are opened (StoreOpening), the lost ones closed
 *  a damaged store:     its actor is closed, and a new one gets a new store, read from the log's start
 *  a standstill:        the connections are made anew
 * ```
 */
export class PartitionSet implements HeldPartitions {
  partitionCount = 0;
  readonly #actors = new Map<number, PartitionActor>();
  readonly #closing = new Map<number, Promise<void>>();
  readonly #opening: StoreOpening;
  /** How often each partition's damaged store was replaced. */
  readonly #rebuilds = new Map<number, number>();
  readonly #ending = new AbortController();
  readonly #failures: LogFailures;
  readonly #inquiry: EndsInquiry<Question | undefined, Asker<Question | undefined>>;
  readonly #restoreMeter: RestoreMeter;
  readonly #standstill = new Standstill(LOOK_WAIT_MS);
  readonly #checkpoints: Checkpoints;
  readonly #readLoop: ReadLoop;
  #running: Promise<unknown> | undefined;

  constructor(private readonly options: PartitionSetOptions) {
    const { topic, clock, onWarning, bounds, onRestoreProgress = () => undefined } = options;
    this.#failures = new LogFailures(topic, clock, (message) => onWarning(undefined, message));
    this.#restoreMeter = new RestoreMeter(clock, onRestoreProgress);
    this.#inquiry = new EndsInquiry({
      ...options,
      outage: this.#failures.ends,
      onHeard: () => this.#restoreMeter.note(this.#actors.values()),
    });
    this.#opening = new StoreOpening({
      ...options,
      ending: this.#ending.signal,
      isHeld: (actor) => this.#holds(actor),
      ask: (asker) => this.#inquiry.ask(asker),
    });
    this.#checkpoints = new Checkpoints({ actors: this.#actors, clock, ...bounds });
    this.#readLoop = new ReadLoop({
      ...options,
      ...bounds,
      checkpoints: this.#checkpoints,
      actors: this.#actors,
      failures: this.#failures,
      restoreMeter: this.#restoreMeter,
    });
  }

  /** Begins to read for the assigned partitions, until `close`. Partitions may be assigned before or after it. */
  start(): void {
    const ending = this.#ending.signal;
    this.#running = Promise.all([this.#readLoop.run(ending), this.#checkpoints.run(ending), this.#look()]);
  }

  get membership(): string {
    return this.options.membership();
  }

  get topics(): TopicsStanding | undefined {
    return this.options.topics;
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
    return obstacle ?? (this.#actors.size === 0 ? undefined : this.#failures.readFailure(this.#actors.values()));
  }

  get standstill(): string | undefined {
    return this.#standstill.reason;
  }

  get restore(): RestoreProgress | undefined {
    return this.#restoreMeter.progress;
  }

  *held(): Iterable<PartitionActor> {
    for (const partition of [...this.#actors.keys()].toSorted((a, b) => a - b))
      yield this.#actors.get(partition) as PartitionActor;
  }

  get(partition: number): PartitionActor | undefined {
    return this.#actors.get(partition);
  }

  hurry(): void {
    this.#readLoop.hurry();
  }

  /** Takes the whole new assignment. Partitions that were held before go on undisturbed. */
  assign(partitions: readonly number[]): void {
    if (this.#ending.signal.aborted) return;
    const wanted = new Set(partitions);
    for (const partition of this.#actors.keys()) if (!wanted.has(partition)) this.#remove(partition);
    const gained = partitions.filter((partition) => !this.#actors.has(partition));
    if (gained.length > 0) this.#add(gained);
  }

  #add(partitions: readonly number[]): void {
    const added: PartitionActor[] = [];
    for (const partition of partitions) {
      const actor: PartitionActor = new PartitionActor(partition, {
        ...this.options,
        storePath: () => this.options.storePath(partition),
        onAwaited: () => this.hurry(),
        onEndWanted: () => this.#inquiry.ask(actor),
        isThrottled: () => this.#readLoop.isThrottled,
        onDamaged: (reason) => this.#damaged(partition, reason),
      });
      this.#actors.set(partition, actor);
      added.push(actor);
    }
    void this.#opening.open(added, (partition) => this.#closing.get(partition));
  }

  #remove(partition: number): void {
    const closing = this.#actors.get(partition)?.close();
    this.#actors.delete(partition);
    const closed = closing?.finally(() => this.#closing.delete(partition));
    if (closed) this.#closing.set(partition, closed);
  }

  /**
   * Sets the partition's store aside and rebuilds it from the log's start. Keeps the store if the log cannot rebuild
   * it.
   */
  rebuild(partition: number, reason: string): void {
    this.#replace(partition, reason, true);
  }

  #replace(partition: number, reason: string, isUsable: boolean): void {
    if (this.#ending.signal.aborted || !this.#actors.has(partition)) return;
    this.#opening.condemn(partition, { reason, isUsable });
    this.#remove(partition);
    this.#add([partition]);
  }

  #damaged(partition: number, reason: string): void {
    const { onStoreDamaged, storePath, onWarning } = this.options;
    if (onStoreDamaged) return onStoreDamaged(reason);
    const rebuilds = (this.#rebuilds.get(partition) ?? 0) + 1;
    if (rebuilds > REBUILDS_MAX)
      return onWarning(
        partition,
        `The store ${storePath(partition)} is damaged again, after ${REBUILDS_MAX} new ones. Look at the disk, then restart.`,
      );
    this.#rebuilds.set(partition, rebuilds);
    this.#replace(partition, reason, false);
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.hurry();
    this.#inquiry.close();
    await Promise.all([...this.#actors.values()].map((actor) => actor.close()));
    await this.#readLoop.close();
    await this.#running;
    await Promise.all(this.#closing.values());
  }

  /** The next offsets of the partitions held, from which the group's lag is computed. */
  positions(): Map<number, number> {
    const opened = [...this.#actors].filter(([, actor]) => actor.hasStore);
    return new Map(opened.map(([partition, actor]) => [partition, actor.nextOffset]));
  }

  #holds(actor: PartitionActor): boolean {
    return !this.#ending.signal.aborted && this.#actors.get(actor.partition) === actor;
  }

  /** Asks for the ends even while reading seems to go well, because a fetch that is never answered reports nothing. */
  async #look(): Promise<void> {
    const { clock, log, topic, onWarning } = this.options;
    for (;;) {
      await clock.sleep(LOOK_WAIT_MS, this.#ending.signal);
      if (this.#ending.signal.aborted) return;
      if (this.#actors.size === 0) continue;
      this.#failures.tellOfSome(this.held());
      try {
        const asked = [...this.#actors.values()].map((actor) => ({ actor, question: actor.question }));
        const ends = await within(clock, LOOK_WAIT_MS, log.ends(topic));
        if (!ends) throw new Error(`no answer within ${LOOK_WAIT_MS} ms`);
        this.#failures.ends.worked();
        if (!this.options.mayBeginLate) this.options.topics?.noteLostHeads(lostHeads(this.held(), ends.partitions));
        for (const { actor, question } of asked) if (this.#holds(actor) && !actor.hear(question, ends)) this.#inquiry.ask(actor);
        // A process that a quota slows down still makes progress.
        if (!this.#standstill.look(this.#readLoop.isThrottled ? [] : this.held(), ends.partitions)) continue;
        onWarning(undefined, this.#standstill.reason ?? "");
        this.#readLoop.reconnect();
      } catch (e) {
        // If reading fails too, that has been reported already. If it does not, a partition may be without a leader,
        // which nothing else notices.
        if (!this.#failures.records.isUnderWay) this.#failures.ends.failed(e);
      }
    }
  }
}
