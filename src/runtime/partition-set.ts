import { type Clock, within } from "../system/clock.ts";
import { AppError } from "../errors.ts";
import { Backoff, type BackoffLimits } from "../log/backoff.ts";
import type { Batch, FetchResult, Log, Reader } from "../log/port.ts";
import type { Random } from "../system/random.ts";
import type { ApplyTracer } from "../telemetry/tracer.ts";
import { PartitionActor } from "./actor/actor.ts";
import type { ActorEnvironment } from "./actor/actor-environment.ts";
import { type Asker, EndsInquiry } from "./read/ends-inquiry.ts";
import { lostHeads } from "./topics/lost-heads.ts";
import { LogFailures } from "./read/log-failures.ts";
import type { Failure } from "./read/outage.ts";
import type { HeldPartitions, RestoreProgress, TopicsStanding } from "./projection.ts";
import type { Question } from "./actor/reading.ts";
import { RestoreMeter } from "./read/restore-meter.ts";
import { Standstill } from "./actor/standstill.ts";
import { StoreOpening, type Stores } from "./store/store-opening.ts";

/** How long a fetch waits for records. A partition assigned meanwhile is first read after it. */
const FETCH = { wait_ms_max: 250, partition_bytes_max: 1024 * 1024 };
/** Far from the end: larger answers make larger transactions, in which an order is read and written once for more of its events. */
const RESTORE_FETCH = { ...FETCH, partition_bytes_max: 4 * 1024 * 1024 };
/** How long to wait when there is nothing to read at all. */
const IDLE_WAIT_MS = 25;
/** How often it is looked whether a partition stands still, and how long the log may take to tell its ends. */
const LOOK_WAIT_MS = 5_000;
/** A disk that damages a store more often than this is not to be trusted with another one. */
const REBUILDS_MAX = 3;

export interface PartitionSetOptions<View>
  extends
    Omit<ActorEnvironment, "clock" | "awaited" | "endWanted" | "isThrottled" | "damaged" | "warn" | "storePath">,
    Stores<View> {
  readonly log: Log;
  readonly topic: string;
  /** Told of a damaged store, where not the set but its owner makes it anew; the partition stays halted until then. */
  readonly storeDamaged?: (reason: string) => void;
  readonly tracer?: ApplyTracer | undefined;
  /** How those come on that are far from the log's end: a sentence, and the figures while it lasts. */
  readonly restoring?: (message: string, progress: RestoreProgress | undefined) => void;
  /** How the group stands, for people. */
  readonly membership: () => string;
  /** Why there is nothing to be read yet, where that lies before reading: the topic is not reached, the group refuses. */
  readonly obstacle?: () => Failure | undefined;
  /** Why dead letters could not be appended, should there be any. */
  readonly deadLetterFailure?: () => string | undefined;
  readonly topics?: TopicsStanding;
  /** How long records may gather between two fetches, while nobody waits for them. */
  readonly gather_ms?: number;
  /** Something a person should read; it concerns all partitions where none is named. */
  readonly warn: (partition: number | undefined, message: string, level?: "info" | "warn" | "error") => void;
  readonly backoff: BackoffLimits;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * The actors of the partitions this process holds, and the one loop that reads for them. While the actors apply what was read, the
 * next fetch is already under way; at most two answers are in memory. A second loop looks whether they get anywhere.
 *
 * ```
 *  made ──start()──▶ reading and looking ──close()──▶ closed
 *  assign(partitions): opens the gained ones, closes the lost ones ──▶ fetch at every actor's `wanted` ─▶ accept ─▶ apply ─┐
 *                                                                        ▲───────────────────────────────────────────────┘
 *  look: ends asked ─▶ a partition stands still ─▶ the reader is replaced, the fetch under way forgotten
 *  a damaged store: its actor closed ─▶ a new actor, which gets a new store from the log's start (StoreOpening)
 * ```
 */
export class PartitionSet<View> implements HeldPartitions<View> {
  partitionCount = 0;
  readonly #actors = new Map<number, PartitionActor<View>>();
  readonly #closing = new Map<number, Promise<void>>();
  readonly #opening: StoreOpening<View>;
  /** How often each partition had a damaged store. */
  readonly #rebuilds = new Map<number, number>();
  readonly #ending = new AbortController();
  #gathering: AbortController | undefined;
  readonly #failures: LogFailures;
  readonly #inquiry: EndsInquiry<Question | undefined, Asker<Question | undefined>>;
  readonly #restoreMeter: RestoreMeter;
  readonly #standstill = new Standstill(LOOK_WAIT_MS);
  #reader: Reader;
  /** Rejects the fetch under way, which may never be answered. */
  #abandonFetch: (reason: AppError) => void = () => undefined;
  #running: Promise<unknown> | undefined;

  constructor(private readonly options: PartitionSetOptions<View>) {
    const { topic, clock, warn, restoring = () => undefined } = options;
    this.#failures = new LogFailures(topic, clock, (message) => warn(undefined, message));
    this.#restoreMeter = new RestoreMeter(clock, restoring);
    this.#inquiry = new EndsInquiry({
      ...options,
      outage: this.#failures.ends,
      onHeard: () => this.#restoreMeter.note(this.#actors.values()),
    });
    this.#opening = new StoreOpening({
      ...options,
      ending: this.#ending.signal,
      holds: (actor) => this.#holds(actor),
      ask: (asker) => this.#inquiry.ask(asker),
    });
    this.#reader = options.log.reader(topic);
  }

  start(): void {
    this.#running = Promise.all([this.#read(), this.#look()]);
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
    return obstacle ?? (this.#actors.size === 0 ? undefined : this.#failures.whole(this.#actors.values()));
  }

  get standstill(): string | undefined {
    return this.#standstill.reason;
  }

  get restore(): RestoreProgress | undefined {
    return this.#restoreMeter.progress;
  }

  *held(): Iterable<PartitionActor<View>> {
    for (const partition of [...this.#actors.keys()].toSorted((a, b) => a - b))
      yield this.#actors.get(partition) as PartitionActor<View>;
  }

  get(partition: number): PartitionActor<View> | undefined {
    return this.#actors.get(partition);
  }

  /** Takes over the whole assignment: partitions that stay go on undisturbed. */
  assign(partitions: readonly number[]): void {
    if (this.#ending.signal.aborted) return;
    const wanted = new Set(partitions);
    for (const partition of this.#actors.keys()) if (!wanted.has(partition)) this.#remove(partition);
    const gained = partitions.filter((partition) => !this.#actors.has(partition));
    if (gained.length > 0) this.#add(gained);
  }

  #add(partitions: readonly number[]): void {
    const added: PartitionActor<View>[] = [];
    for (const partition of partitions) {
      const actor: PartitionActor<View> = new PartitionActor<View>(partition, {
        ...this.options,
        storePath: () => this.options.storePath(partition),
        awaited: () => this.#gathering?.abort(),
        endWanted: () => this.#inquiry.ask(actor),
        isThrottled: () => this.#reader.isThrottled,
        damaged: (reason) => this.#damaged(partition, reason),
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

  /** Sets the partition's store aside, and rebuilds it from the log's start; goes on with it where the log cannot rebuild it. */
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
    const { storeDamaged, storePath, warn } = this.options;
    if (storeDamaged) return storeDamaged(reason);
    const rebuilds = (this.#rebuilds.get(partition) ?? 0) + 1;
    if (rebuilds > REBUILDS_MAX)
      return warn(
        partition,
        `The store ${storePath(partition)} is damaged again, after ${REBUILDS_MAX} new ones. Look at the disk, then restart.`,
      );
    this.#rebuilds.set(partition, rebuilds);
    this.#replace(partition, reason, false);
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#gathering?.abort();
    this.#inquiry.close();
    await Promise.all([...this.#actors.values()].map((actor) => actor.close()));
    await this.#reader.close();
    this.#abandonFetch(new AppError("SHUTTING_DOWN", "Reading was ended by this process."));
    await this.#running;
    await Promise.all(this.#closing.values());
  }

  /** Next offsets of the partitions held, for the group's lag. */
  positions(): Map<number, number> {
    const opened = [...this.#actors].filter(([, actor]) => actor.view !== undefined);
    return new Map(opened.map(([partition, actor]) => [partition, actor.nextOffset]));
  }

  #holds(actor: PartitionActor<View>): boolean {
    return !this.#ending.signal.aborted && this.#actors.get(actor.partition) === actor;
  }

  async #read(): Promise<void> {
    const { clock, random, isOwner } = this.options;
    const backoff = new Backoff(this.options.backoff, random);
    let fetching: Promise<FetchResult[]> | undefined;
    while (!this.#ending.signal.aborted) {
      fetching ??= isOwner() ? this.#fetch() : undefined;
      if (!fetching) {
        await clock.sleep(IDLE_WAIT_MS, this.#ending.signal);
        continue;
      }
      try {
        const results = await fetching;
        backoff.reset();
        // After an outage the actors are behind by an unknown number of records.
        if (this.#failures.hasRead()) for (const actor of this.#actors.values()) actor.forgetEnd();
        for (const result of results) this.#actors.get(result.partition)?.accept(result);
        fetching = this.options.gather_ms === undefined && isOwner() ? this.#fetch() : undefined;
        fetching?.catch(() => undefined);
        for (const actor of this.#actors.values()) {
          if (!actor.accepted) continue;
          this.#apply(actor, actor.accepted);
          this.#restoreMeter.note(this.#actors.values());
          await clock.yield();
        }
        if (this.options.gather_ms !== undefined) await this.#gather(this.options.gather_ms);
      } catch (e) {
        fetching = undefined;
        if (this.#ending.signal.aborted) return;
        this.#failures.records.failed(e);
        await clock.sleep(backoff.next_ms(), this.#ending.signal);
      }
    }
    await fetching?.catch(() => undefined);
  }

  /** What is read from far behind is not new, so it is not traced. */
  #apply(actor: PartitionActor<View>, { partition, records }: Batch): void {
    const { tracer, warn } = this.options;
    const applied = actor.state === "running" ? tracer?.applying(partition, records, actor.nextOffset) : undefined;
    const applying = actor.apply();
    if (!applying) return applied?.(actor.nextOffset);
    applying.then(() => applied?.(actor.nextOffset)).catch((e: unknown) => warn(partition, String(e)));
  }

  /** Asks for the ends even while reading seems to go well: a fetch that is never answered tells nothing. */
  async #look(): Promise<void> {
    const { clock, log, topic, warn } = this.options;
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
        // Who is made to wait by a quota gets on, if slowly.
        if (!this.#standstill.look(this.#reader.isThrottled ? [] : this.held(), ends.partitions)) continue;
        warn(undefined, this.#standstill.reason ?? "");
        this.#reconnect();
      } catch (e) {
        // Where reading fails too, that is told already. Where it does not, a partition may be without a leader, which nobody else notices.
        if (!this.#failures.records.isUnderWay) this.#failures.ends.failed(e);
      }
    }
  }

  #reconnect(): void {
    void this.#reader.close().catch(() => undefined);
    this.#reader = this.options.log.reader(this.options.topic);
    this.#abandonFetch(new AppError("LOG_UNAVAILABLE", "The connections are made anew."));
    for (const actor of this.#actors.values())
      actor.accept({ partition: actor.partition, interrupted: "The connections are made anew." });
  }

  async #gather(gather_ms: number): Promise<void> {
    for (const actor of this.#actors.values()) if (actor.isAwaited || actor.state === "catching-up") return;
    this.#gathering = new AbortController();
    await this.options.clock.sleep(gather_ms, this.#gathering.signal);
    this.#gathering = undefined;
  }

  #fetch(): Promise<FetchResult[]> | undefined {
    const positions = new Map<number, number>();
    for (const [partition, actor] of this.#actors) if (actor.wanted !== undefined) positions.set(partition, actor.wanted);
    if (positions.size === 0) return undefined;
    const { promise, resolve, reject } = Promise.withResolvers<FetchResult[]>();
    this.#abandonFetch = reject;
    this.#reader.fetch(positions, this.restore ? RESTORE_FETCH : FETCH).then(resolve, reject);
    return promise;
  }
}
