import { AppError, isAppError } from "../../errors.ts";
import type { IdempotentProducer, NewRecord, SendOutcome, Timestamp } from "../port.ts";
import { isUnavailable, type LogFile, recordId } from "./sqlite-file.ts";
import { encodeHeaders } from "./sqlite-headers.ts";
import type { Arrivals } from "./sqlite-reader.ts";
import { invalidTimestamp, isTimestamp } from "../timestamp.ts";

/** The file takes larger batches, but a transaction of this size does not hold the event loop for long. */
export const BATCH_BYTES_MAX = 16 * 1024 * 1024;

export interface PartitionRow {
  readonly row: number;
  readonly start_offset: number;
  readonly next_offset: number;
}

export const noPartition = (topic: string, partition: number): AppError =>
  new AppError("LOG_UNAVAILABLE", `The topic ${topic} has no partition ${partition}: create it first.`);

export function findPartition(file: LogFile, topic: string, partition: number): PartitionRow {
  const row = file.db
    .query<PartitionRow, [string, number]>(
      "SELECT row, start_offset, next_offset FROM partitions WHERE topic = ? AND partition = ?",
    )
    .get(topic, partition);
  if (row === null) throw noPartition(topic, partition);
  return row;
}

/** The epoch that this holder was given. A later holder of the same fencing id has a higher one. */
export interface Fence {
  readonly fencingId: string;
  readonly epoch: number;
}

export class SqliteProducer implements IdempotentProducer {
  #appending = false;
  #closed = false;
  constructor(
    readonly file: LogFile,
    readonly arrivals: Arrivals,
    readonly fence: Fence | undefined,
  ) {}

  /** There is one lane, since one transaction holds records of all partitions. */
  lane(): string {
    return "";
  }

  batchBytesMax(): number {
    return BATCH_BYTES_MAX;
  }

  async append(topic: string, records: readonly NewRecord[], deadline_ms?: number): Promise<number[]> {
    if (this.#appending) throw new Error("A producer appends one batch at a time: wait for the append before this one.");
    this.#appending = true;
    try {
      return await this.#write(deadline_ms, () => {
        const transaction = new AppendTransaction(this.file, topic);
        const offsets = records.map((record) => transaction.insert(record));
        transaction.moveEnds();
        return offsets;
      });
    } finally {
      this.#appending = false;
    }
  }

  async send(topic: string, records: readonly NewRecord[], deadline_ms?: number): Promise<SendOutcome[]> {
    try {
      return await this.#write(deadline_ms, () => {
        const transaction = new AppendTransaction(this.file, topic);
        const outcomes = records.map((record): SendOutcome => transaction.tryInsert(record));
        transaction.moveEnds();
        return outcomes;
      });
    } catch (e) {
      // Only a failed commit leaves it unknown whether anything was appended, and the file then says so itself.
      const error = isAppError(e) ? e : new AppError("LOG_UNAVAILABLE", `The embedded log took nothing: ${String(e)}`, {}, e);
      return records.map(() => ({ error }));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #write<T>(deadline_ms: number | undefined, body: () => T): Promise<T> {
    if (this.#closed) throw new AppError("LOG_UNAVAILABLE", "The producer was closed by this process.");
    const result = await this.file.write(() => {
      this.#checkFence();
      return body();
    }, deadline_ms);
    this.arrivals.notify();
    return result;
  }

  #checkFence(): void {
    if (this.fence === undefined) return;
    const { fencingId, epoch } = this.fence;
    const row = this.file.db.query<{ epoch: number }, [string]>("SELECT epoch FROM fences WHERE fencing_id = ?").get(fencingId);
    if (row?.epoch === epoch) return;
    throw new AppError("PRODUCER_FENCED", `Another producer took over ${fencingId}: this one must stop.`);
  }
}

/** The records of one transaction, and the ends that they give their partitions. */
class AppendTransaction {
  readonly #ends = new Map<number, { row: number; next_offset: number }>();
  readonly #insert;
  constructor(
    readonly file: LogFile,
    readonly topic: string,
  ) {
    this.#insert = file.db.query("INSERT INTO records (id, timestamp_ms, key, value, headers) VALUES (?, ?, ?, ?, ?)");
  }

  insert({ partition, key, value, headers, timestamp_ms }: NewRecord): number {
    if (!isTimestamp(timestamp_ms)) throw invalidTimestamp(timestamp_ms);
    const end = this.#end(partition);
    const id = recordId(end.row, end.next_offset);
    try {
      this.#insert.run(id, bound(timestamp_ms), bytesOf(key), bytesOf(value), encodeHeaders(headers));
    } catch (e) {
      throw refusal(e);
    }
    return end.next_offset++;
  }

  /** A failed statement undoes only itself, so the transaction can go on without this record. */
  tryInsert(record: NewRecord): SendOutcome {
    try {
      return { offset: this.insert(record), leaderEpoch: 0 };
    } catch (e) {
      if (isAppError(e)) return { error: e };
      throw e;
    }
  }

  moveEnds(): void {
    const moveEnd = this.file.db.query("UPDATE partitions SET next_offset = ? WHERE row = ?");
    for (const { row, next_offset } of this.#ends.values()) moveEnd.run(next_offset, row);
  }

  #end(partition: number): { row: number; next_offset: number } {
    let end = this.#ends.get(partition);
    if (end === undefined) {
      const { row, next_offset } = findPartition(this.file, this.topic, partition);
      end = { row, next_offset };
      this.#ends.set(partition, end);
    }
    return end;
  }
}

/** SQLite would store a number beyond 2^53 as REAL. */
const bound = (timestamp_ms: Timestamp): Timestamp => (Number.isSafeInteger(timestamp_ms) ? timestamp_ms : BigInt(timestamp_ms));

const bytesOf = (text: string | Uint8Array | null): Uint8Array | null => (typeof text === "string" ? Buffer.from(text) : text);

/** Why the file will never take this record. A failure of the file itself is passed on as it is. */
function refusal(e: unknown): unknown {
  if (isUnavailable(e)) return e;
  if ((e as { code?: unknown } | null)?.code === "SQLITE_TOOBIG")
    return new AppError("EVENT_TOO_LARGE", "The embedded log takes no record of this size; it was not appended.", {}, e);
  return new AppError("APPEND_REFUSED", `The embedded log refuses the record: ${String(e)}. It was not appended.`, {}, e);
}
