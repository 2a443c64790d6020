import { AppError } from "../../errors.ts";
import type { Log, LogRecord, Reader } from "../../log/port.ts";

const READ = { wait_ms_max: 500, partition_bytes_max: 1024 * 1024 };
/** How many answers in a row may have no record before `from` rejects; its caller then tries again after a pause. */
const EMPTY_ANSWERS_MAX = 10;

/** The records that were read from an offset on. */
interface Piece {
  readonly records: readonly LogRecord[];
  readonly nextOffset: number;
}

/** Reads one partition at whatever offsets its owner asks for. The owner closes it when its work is done. */
export class PlaceReader {
  readonly #reader: Reader;
  #from = 0;
  #nextOffset = 0;
  #records = new Map<number, LogRecord>();

  constructor(
    log: Log,
    private readonly topic: string,
    private readonly partition: number,
  ) {
    this.#reader = log.reader(topic);
  }

  /**
   * Resolves with the records from the offset on, or with undefined if the log does not have that offset any more.
   * Rejects with LOG_UNAVAILABLE if the log cannot be read now.
   */
  async from(offset: number): Promise<Piece | undefined> {
    for (let empty = 0; empty < EMPTY_ANSWERS_MAX;) {
      const [result] = await this.#reader.fetch(new Map([[this.partition, offset]]), READ);
      if (!result) {
        empty++;
      } else if ("outOfRange" in result) {
        return undefined;
      } else if ("batch" in result) {
        if (result.batch.nextOffset > offset) return result.batch;
        empty++;
      } else {
        const why =
          "interrupted" in result ? result.interrupted : "unavailable" in result ? result.unavailable : result.unreadable;
        throw new AppError("LOG_UNAVAILABLE", `${this.topic}-${this.partition} cannot be read back at offset ${offset}: ${why}`);
      }
    }
    throw new AppError("LOG_UNAVAILABLE", `${this.topic}-${this.partition} cannot be read back at offset ${offset}.`);
  }

  /**
   * Resolves with the record at the offset, or with undefined if there is none. What was read after it is kept for the
   * next calls.
   */
  async at(offset: number): Promise<LogRecord | undefined> {
    if (offset < this.#from || offset >= this.#nextOffset) {
      const piece = await this.from(offset);
      if (!piece) return undefined;
      this.#from = offset;
      this.#nextOffset = piece.nextOffset;
      this.#records = new Map(piece.records.map((record) => [record.offset, record]));
    }
    return this.#records.get(offset);
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
