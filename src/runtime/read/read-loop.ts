import { AppError } from "../../errors.ts";
import { Backoff, type BackoffLimits } from "../../log/backoff.ts";
import type { Batch, FetchLimits, FetchResult, Log, Reader } from "../../log/port.ts";
import type { Clock } from "../../system/clock.ts";
import { isOutOfMemory } from "../../system/out-of-memory.ts";
import type { Random } from "../../system/random.ts";
import type { ApplyTracer } from "../../telemetry/tracer.ts";
import type { PartitionActor } from "../actor/actor.ts";
import type { Checkpoints } from "../checkpoints.ts";
import type { LogFailures } from "./log-failures.ts";
import type { RestoreMeter } from "./restore-meter.ts";

/**
 * How long a fetch waits for records. A partition that is assigned meanwhile is first read after it. A batch is applied
 * in one turn, so that its bytes bound how long others wait: 1 MiB of new orders takes 20 to 40 ms.
 */
export const FETCH = { wait_ms_max: 250, partition_bytes_max: 1024 * 1024 };
/** How long the fetch of what is waited for may wait. Its records are in the log already, as a rule. */
const AWAITED_WAIT_MS_MAX = 5;
/** About three milliseconds of work. A turn for each batch let so much else in between that answers came late. */
const TURN_RECORDS_MAX = 2_000;
/** How long to wait when there is nothing to read at all. */
const IDLE_WAIT_MS = 25;

export interface ReadLoopOptions {
  readonly log: Log;
  readonly topic: string;
  readonly actors: ReadonlyMap<number, PartitionActor>;
  readonly checkpoints: Checkpoints;
  readonly isOwner: () => boolean;
  readonly failures: LogFailures;
  readonly restoreMeter: RestoreMeter;
  readonly tracer?: ApplyTracer | undefined;
  readonly turn_records_max?: number;
  /** How long records may gather between two fetches, while nobody waits for them. */
  readonly gather_ms?: number;
  readonly onWarning: (partition: number, message: string) => void;
  readonly backoff: BackoffLimits;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Reads for all actors of a process. While they apply what was read, the next fetch is already under way; at most two
 * answers are in memory. Where somebody begins to wait while records gather, the partition that is waited for is read
 * before all the others.
 *
 * ```
 *  fetch at every actor's `wanted` ──▶ accept ──▶ apply ──▶ (gather) ──▶ fetch
 *           └─ fails ─▶ back off ─▶ fetch        reconnect(): another reader, and the fetch under way is forgotten
 * ```
 */
export class ReadLoop {
  #reader: Reader;
  #gathering: AbortController | undefined;
  /** Whether somebody began to wait while records gathered. */
  #isHurried = false;
  /** Whether the latest fetch left records behind that could have been read. */
  #isIncomplete = false;
  /** Rejects the fetch under way, which may never be answered. */
  #abandonFetch: (reason: AppError) => void = () => undefined;

  constructor(private readonly options: ReadLoopOptions) {
    this.#reader = options.log.reader(options.topic);
  }

  /** Whether a quota of the log makes this process wait. */
  get isThrottled(): boolean {
    return this.#reader.isThrottled;
  }

  /** Ends soon after `ending` aborts and `close` is called. */
  async run(ending: AbortSignal): Promise<void> {
    const { actors, checkpoints, clock, random, isOwner, failures } = this.options;
    const { turn_records_max = TURN_RECORDS_MAX } = this.options;
    const backoff = new Backoff(this.options.backoff, random);
    let fetching: Promise<FetchResult[]> | undefined;
    while (!ending.aborted) {
      fetching ??= isOwner() ? this.#fetch() : undefined;
      if (!fetching) {
        await clock.sleep(IDLE_WAIT_MS, ending);
        continue;
      }
      try {
        const results = await fetching;
        backoff.reset();
        // After an outage the actors are behind by an unknown number of records.
        if (failures.noteRead()) for (const actor of actors.values()) actor.forgetEnd();
        for (const result of results) actors.get(result.partition)?.accept(result);
        if (results.some(leavesRecords)) this.#isIncomplete = true;
        fetching = this.#gatherTime_ms() === 0 && isOwner() ? this.#fetch() : undefined;
        fetching?.catch(() => undefined);
        let turnRecords = 0;
        for (const actor of actors.values()) {
          const batch = actor.accepted;
          if (!batch) continue;
          if (this.#apply(actor, batch)) batch.release?.();
          turnRecords += batch.nextOffset - batch.baseOffset;
          if (turnRecords >= turn_records_max) {
            turnRecords = 0;
            await clock.yield();
          }
          const saving = checkpoints.makeRoom();
          if (saving) await saving;
        }
        if (!fetching) await this.#gather();
      } catch (e) {
        fetching = undefined;
        if (isOutOfMemory(e)) throw e;
        if (ending.aborted) return;
        failures.records.failed(e);
        await clock.sleep(backoff.next_ms(), ending);
      }
    }
    await fetching?.catch(() => undefined);
  }

  /** Stops gathering records, because somebody waits for them. */
  hurry(): void {
    if (this.#gathering === undefined) return;
    this.#gathering.abort();
    this.#isHurried = true;
  }

  reconnect(): void {
    void this.#reader.close().catch(() => undefined);
    this.#reader = this.options.log.reader(this.options.topic);
    this.#abandonFetch(new AppError("LOG_UNAVAILABLE", "The connections are made anew."));
    for (const actor of this.options.actors.values())
      actor.accept({ partition: actor.partition, interrupted: "The connections are made anew." });
  }

  async close(): Promise<void> {
    await this.#reader.close();
    this.#abandonFetch(new AppError("SHUTTING_DOWN", "Reading was ended by this process."));
  }

  /**
   * Applies the batch; returns false if that takes longer than this turn. Records that are read while catching up
   * are not new, so they are not traced.
   */
  #apply(actor: PartitionActor, batch: Batch): boolean {
    const { tracer, onWarning, restoreMeter, actors } = this.options;
    const { partition } = batch;
    const applied = actor.state === "running" ? tracer?.applying(partition, batch.records, actor.nextOffset) : undefined;
    const applying = actor.apply();
    const note = () => {
      applied?.(actor.nextOffset);
      restoreMeter.note(actors.values());
    };
    const onFailed = (e: unknown) => {
      if (isOutOfMemory(e)) throw e;
      onWarning(partition, String(e));
    };
    if (applying) applying.then(note).catch(onFailed);
    else note();
    return applying === undefined;
  }

  /** Not at all while somebody waits for records, a partition is far behind, or the last fetch left some out. */
  #gatherTime_ms(): number {
    const { actors, gather_ms = 0 } = this.options;
    if (this.#isIncomplete) return 0;
    if (gather_ms > 0) for (const actor of actors.values()) if (actor.isAwaited || actor.state === "catching-up") return 0;
    return gather_ms;
  }

  async #gather(): Promise<void> {
    const gather_ms = this.#gatherTime_ms();
    if (gather_ms === 0) return;
    this.#gathering = new AbortController();
    await this.options.clock.sleep(gather_ms, this.#gathering.signal);
    this.#gathering = undefined;
  }

  #fetch(): Promise<FetchResult[]> | undefined {
    const positions = new Map<number, number>();
    for (const [partition, actor] of this.options.actors) if (actor.wanted !== undefined) positions.set(partition, actor.wanted);
    if (positions.size === 0) return undefined;
    const { promise, resolve, reject } = Promise.withResolvers<FetchResult[]>();
    this.#abandonFetch = reject;
    this.#reader.fetch(positions, this.#chooseLimits(positions)).then(resolve, reject);
    return promise;
  }

  /** Of all that gathered, what is waited for is read first; the fetch after that reads all partitions. */
  #chooseLimits(positions: ReadonlyMap<number, number>): FetchLimits {
    const only = new Set<number>();
    if (this.#isHurried)
      for (const { partition, isAwaited } of this.options.actors.values())
        if (isAwaited && positions.has(partition)) only.add(partition);
    this.#isHurried = false;
    this.#isIncomplete = only.size > 0;
    return this.#isIncomplete ? { ...FETCH, wait_ms_max: AWAITED_WAIT_MS_MAX, only } : FETCH;
  }
}

/** A broker gives at most one segment at a time, and no more bytes than it is asked for. */
const leavesRecords = (result: FetchResult): boolean =>
  "batch" in result && result.batch.baseOffset < result.batch.nextOffset && result.batch.nextOffset < result.batch.stableOffset;
