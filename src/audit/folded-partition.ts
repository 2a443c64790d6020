import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { Log, Reader } from "../log/log.ts";
import { ReferenceFold } from "./reference-fold.ts";

const FETCH = { wait_ms_max: 500, partition_bytes_max: 4 * 1024 * 1024 };
/** Answers without a record in a row, before the log is taken not to have what a service says it applied. */
const EMPTY_ANSWERS_MAX = 20;

export interface FoldedPartitionOptions {
  readonly log: Log;
  readonly topic: string;
  /** 0: no bound. */
  readonly records_per_s_max: number;
  readonly clock: Clock;
  /** Told of records read. */
  readonly onRead: (records: number) => void;
}

/**
 * One partition of the log, folded by the reference up to an offset that only grows.
 *
 * ```
 *  at the log's start ──to(offset), at a bounded rate──▶ at that offset ──follow(later offset)──▶ … ──close()──▶ closed
 * ```
 */
export class FoldedPartition {
  readonly fold = new ReferenceFold();
  #offset: number;
  readonly #reader: Reader;

  constructor(
    private readonly partition: number,
    startOffset: number,
    private readonly options: FoldedPartitionOptions,
  ) {
    this.#offset = startOffset;
    this.#reader = options.log.reader(options.topic);
  }

  get offset(): number {
    return this.#offset;
  }

  /** Folds every record before `offset`. Rejects with OFFSET_OUT_OF_RANGE where the log does not have them. */
  to(offset: number): Promise<void> {
    return this.#foldTo(offset, this.options.records_per_s_max);
  }

  /** The same of the few records that have come since, without a bound: a rate below that at which they come would never end. */
  follow(offset: number): Promise<void> {
    return this.#foldTo(offset, 0);
  }

  async #foldTo(offset: number, records_per_s_max: number): Promise<void> {
    const { clock, onRead, topic } = this.options;
    for (let empty = 0; this.#offset < offset;) {
      const began_ms = clock.now_ms();
      const [result] = await this.#reader.fetch(new Map([[this.partition, this.#offset]]), FETCH);
      if (result && !("batch" in result))
        throw new AppError("OFFSET_OUT_OF_RANGE", `${topic}-${this.partition} cannot be read at offset ${this.#offset}.`);
      if (!result || result.batch.nextOffset === this.#offset) {
        if (++empty < EMPTY_ANSWERS_MAX) continue;
        throw new AppError(
          "OFFSET_OUT_OF_RANGE",
          `${topic}-${this.partition} gives nothing at offset ${this.#offset}, before ${offset}.`,
        );
      }
      empty = 0;
      const { records, nextOffset } = result.batch;
      let read = 0;
      for (const record of records) {
        if (record.offset >= offset) break;
        this.fold.apply(record);
        read++;
      }
      this.#offset = Math.min(nextOffset, offset);
      onRead(read);
      if (records_per_s_max === 0) continue;
      await clock.sleep(Math.max(0, (read / records_per_s_max) * 1_000 - (clock.now_ms() - began_ms)));
    }
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
