import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import { Backoff, type BackoffLimits } from "../log/backoff.ts";
import type { FetchResult, Log, Reader } from "../log/log.ts";
import type { Random } from "../random.ts";
import { type ActorEnvironment, PartitionActor } from "./actor.ts";
import { Outage } from "./outage.ts";
import type { HeldPartitions } from "./projection.ts";
import type { PartitionStore } from "./store.ts";

/** How long a fetch waits for records. A partition assigned meanwhile is first read after it. */
const FETCH = { wait_ms_max: 250, partition_bytes_max: 1024 * 1024 };
/** How long to wait when there is nothing to read at all. */
const IDLE_WAIT_MS = 25;
/**
 * Once reading has failed for so long, what is held is taken for incomplete, since nobody knows how far the log has grown. A change
 * of leaders is over sooner.
 */
const READ_FAILING_MS_MAX = 2_000;

export interface PartitionSetOptions<View> extends Omit<ActorEnvironment, "clock" | "awaited" | "warn"> {
  readonly log: Log;
  readonly topic: string;
  readonly openStore: (partition: number) => PartitionStore<View>;
  /** How the group stands, for people. */
  readonly membership: () => string;
  /** How long records may gather between two fetches, while nobody waits for them. */
  readonly gather_ms?: number;
  /** Something a person should read; it concerns all partitions where none is named. */
  readonly warn: (partition: number | undefined, message: string) => void;
  readonly backoff: BackoffLimits;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * The actors of the partitions this process holds, and the one loop that reads for them. While the actors apply what was read, the
 * next fetch is already under way; at most two answers are in memory.
 *
 * ```
 *  assign(partitions): opens the gained ones, closes the lost ones ──▶ fetch at every actor's `wanted` ─▶ accept ─▶ apply ─┐
 *                                                                        ▲───────────────────────────────────────────────┘
 * ```
 */
export class PartitionSet<View> implements HeldPartitions<View> {
  partitionCount = 0;
  readonly #actors = new Map<number, PartitionActor<View>>();
  readonly #closing = new Map<number, Promise<void>>();
  readonly #ending = new AbortController();
  #gathering: AbortController | undefined;
  readonly #recordsOutage: Outage;
  readonly #endsOutage: Outage;
  readonly #reader: Reader;
  readonly #reading: Promise<void>;

  constructor(private readonly options: PartitionSetOptions<View>) {
    const { topic, clock, warn } = options;
    const tell = (message: string) => warn(undefined, message);
    this.#recordsOutage = new Outage(`Reading the records of ${topic}`, clock, tell);
    this.#endsOutage = new Outage(`Asking for the ends of ${topic}`, clock, tell);
    this.#reader = options.log.reader(topic);
    this.#reading = this.#read();
  }

  get membership(): string {
    return this.options.membership();
  }

  get readFailure(): string | undefined {
    return this.#actors.size === 0 ? undefined : this.#recordsOutage.lasting(READ_FAILING_MS_MAX);
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
    for (const [partition, actor] of this.#actors) {
      if (wanted.has(partition)) continue;
      this.#actors.delete(partition);
      this.#closing.set(
        partition,
        actor.close().finally(() => this.#closing.delete(partition)),
      );
    }
    const gained = partitions.filter((partition) => !this.#actors.has(partition));
    const environment = { ...this.options, awaited: () => this.#gathering?.abort() };
    for (const partition of gained) this.#actors.set(partition, new PartitionActor<View>(partition, environment));
    if (gained.length > 0) void this.#open(gained);
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#gathering?.abort();
    await Promise.all([...this.#actors.values()].map((actor) => actor.close()));
    await this.#reader.close();
    await this.#reading;
    await Promise.all(this.#closing.values());
  }

  /** Next offsets of the partitions held, for the group's lag. */
  positions(): Map<number, number> {
    return new Map(
      [...this.#actors]
        .filter(([, actor]) => actor.view !== undefined)
        .map(([partition, actor]) => [partition, actor.nextOffset]),
    );
  }

  async #open(partitions: readonly number[]): Promise<void> {
    const opened: PartitionActor<View>[] = [];
    for (const partition of partitions) {
      await this.#closing.get(partition);
      const actor = this.#actors.get(partition);
      if (!actor || actor.state !== "created") continue;
      try {
        actor.open(this.options.openStore(partition));
        opened.push(actor);
      } catch (e) {
        actor.halt(
          new AppError(
            "STORE_FAILED",
            `The store cannot be opened: ${String(e)}. Mend the disk or the data directory, then restart.`,
            {},
            e,
          ),
        );
      }
    }
    await this.#catchUp(opened);
  }

  /** Tells the actors the ends they have to reach, asking until the log names them. */
  async #catchUp(actors: readonly PartitionActor<View>[]): Promise<void> {
    const backoff = new Backoff(this.options.backoff, this.options.random);
    while (!this.#ending.signal.aborted) {
      try {
        const watermarks = await this.options.log.watermarks(this.options.topic);
        this.#endsOutage.worked();
        for (const actor of actors) actor.catchUpTo(watermarks[actor.partition] ?? { startOffset: 0, endOffset: 0 });
        return;
      } catch (e) {
        if (this.#ending.signal.aborted) return;
        this.#endsOutage.failed(e);
        await this.options.clock.sleep(backoff.next_ms(), this.#ending.signal);
      }
    }
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
        if (this.#recordsOutage.worked() >= READ_FAILING_MS_MAX) this.#forgetEnds();
        for (const result of results) this.#actors.get(result.partition)?.accept(result);
        fetching = this.options.gather_ms === undefined ? this.#fetch() : undefined;
        fetching?.catch(() => undefined);
        for (const actor of this.#actors.values()) {
          if (!actor.hasAccepted) continue;
          actor.apply()?.catch((e: unknown) => this.options.warn(actor.partition, String(e)));
          await clock.yield();
        }
        if (this.options.gather_ms !== undefined) await this.#gather(this.options.gather_ms);
      } catch (e) {
        fetching = undefined;
        if (this.#ending.signal.aborted) return;
        this.#recordsOutage.failed(e);
        await clock.sleep(backoff.next_ms(), this.#ending.signal);
      }
    }
    await fetching?.catch(() => undefined);
  }

  /** After an outage the actors are behind by an unknown number of records. */
  #forgetEnds(): void {
    const actors = [...this.#actors.values()];
    for (const actor of actors) actor.forgetEnd();
    void this.#catchUp(actors);
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
    return positions.size === 0 ? undefined : this.#reader.fetch(positions, FETCH);
  }
}
