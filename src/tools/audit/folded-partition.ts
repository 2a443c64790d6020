import type { Clock } from "../../system/clock.ts";
import { AppError, isAppError } from "../../errors.ts";
import { type ComparedResult, ComparingReader, type KnownTopic } from "../../log/read/comparing-reader.ts";
import type { Batch, Log } from "../../log/port.ts";
import { ReferenceFold } from "./reference-fold.ts";

const FETCH = { wait_ms_max: 500, partition_bytes_max: 4 * 1024 * 1024 };
/** The longest time without a record although the service says that it applied more. */
const STALL_MS_MAX = 15_000;
/** The wait between two tries while the log cannot be reached. */
const RETRY_WAIT_MS = 500;

export interface FoldedPartitionOptions {
  readonly log: Log;
  readonly topic: KnownTopic;
  /** 0 stands for no bound. */
  readonly records_per_s_max: number;
  readonly clock: Clock;
  readonly onRead: (records: number) => void;
}

/**
 * Folds one partition of the log with the reference fold, up to an offset that only grows.
 *
 * ```
 *  at the log's start ──to(offset), rate bounded──▶ at that offset ──follow(later offset)──▶ … ──close()──▶ closed
 * ```
 */
export class FoldedPartition {
  readonly fold = new ReferenceFold();
  /** The first record's offset, which compaction may leave behind the log's start offset. */
  firstRecord: number | undefined;
  #offset: number;
  readonly #reader: ComparingReader;
  /** Why the partition cannot be read. The reader says it once, and it holds until something is read. */
  #away: string | undefined;

  constructor(
    private readonly partition: number,
    startOffset: number,
    private readonly options: FoldedPartitionOptions,
  ) {
    this.#offset = startOffset;
    this.#reader = new ComparingReader(options.log, options.topic);
  }

  get offset(): number {
    return this.#offset;
  }

  /**
   * Folds every record before `offset`. Rejects with OFFSET_OUT_OF_RANGE where the log does not have them all,
   * LOG_DISAGREES where it changed while it was read, and LOG_UNAVAILABLE where it cannot be read for STALL_MS_MAX.
   */
  to(offset: number): Promise<void> {
    return this.#foldTo(offset, this.options.records_per_s_max);
  }

  /** Folds the few records that have come since, as fast as it can: slower than they come, it would never end. */
  follow(offset: number): Promise<void> {
    return this.#foldTo(offset, 0);
  }

  async #foldTo(offset: number, records_per_s_max: number): Promise<void> {
    const { clock, onRead } = this.options;
    let why: string | undefined;
    for (let progressAt_ms = clock.now_ms(); this.#offset < offset;) {
      const began_ms = clock.now_ms();
      const result = await this.#fetch();
      why = typeof result === "string" ? result : undefined;
      if (!result || typeof result === "string" || result.nextOffset === this.#offset) {
        if (clock.now_ms() - progressAt_ms > STALL_MS_MAX && !this.#reader.isThrottled) throw this.#stalled(offset, why);
        continue;
      }
      let read = 0;
      for (const record of result.records) {
        if (record.offset >= offset) break;
        this.firstRecord ??= record.offset;
        this.fold.apply(record);
        read++;
      }
      this.#offset = Math.min(result.nextOffset, offset);
      onRead(read);
      if (records_per_s_max > 0) await clock.sleep(Math.max(0, (read / records_per_s_max) * 1_000 - (clock.now_ms() - began_ms)));
      progressAt_ms = clock.now_ms();
    }
  }

  /** The batch at the offset; else, where it is known, why the batch cannot be read now. */
  async #fetch(): Promise<Batch | string | undefined> {
    const positions = new Map([[this.partition, this.#offset]]);
    let results: ComparedResult[];
    try {
      results = await this.#reader.fetch(positions, FETCH);
    } catch (e) {
      if (!isAppError(e, "LOG_UNAVAILABLE")) throw e;
      await this.options.clock.sleep(RETRY_WAIT_MS);
      return e.message;
    }
    const [result] = results;
    if (!result) return this.#away;
    if ("batch" in result) {
      this.#away = undefined;
      return result.batch;
    }
    if ("unavailable" in result) return (this.#away = result.unavailable);
    const what =
      "unreadable" in result ? result.unreadable : `it has ${result.outOfRange.startOffset} to ${result.outOfRange.endOffset}.`;
    throw new AppError("OFFSET_OUT_OF_RANGE", `${this.#name} cannot be read at offset ${this.#offset}: ${what}`);
  }

  get #name(): string {
    return `${this.options.topic.name}-${this.partition}`;
  }

  #stalled(offset: number, why: string | undefined): AppError {
    const where = `${this.#name} gives nothing at offset ${this.#offset}, before ${offset}, which was applied`;
    if (why !== undefined) return new AppError("LOG_UNAVAILABLE", `${where}: ${why}`);
    return new AppError("OFFSET_OUT_OF_RANGE", `${where}.`);
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
