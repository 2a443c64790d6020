import type { LogPosition } from "../../log/log-position.ts";
import type { LogRecord, NewRecord, Timestamp } from "../../log/port.ts";
import { BATCH_HEAD_BYTES, encodedBytes, IN_BATCH_EXTRA_BYTES } from "../../log/append/record-size.ts";

/** The oldest, newest and largest of some records, which tell whether a topic can take them all. */
export interface Extent {
  readonly oldest: Timestamp | undefined;
  readonly newest: Timestamp | undefined;
  readonly largest: (LogPosition & { readonly bytes: number }) | undefined;
}

/** The most bytes that a batch takes, uncompressed, with records of that many bytes as `recordBytes` counts them. */
export const batchBytes = (records_bytes: number): number => BATCH_HEAD_BYTES + records_bytes;

export const recordBytes = (record: Pick<NewRecord, "key" | "value" | "headers">): number =>
  encodedBytes(record) + IN_BATCH_EXTRA_BYTES;

/** Collects the extent of records that are added one by one. */
export class ExtentSoFar implements Extent {
  oldest: Timestamp | undefined;
  newest: Timestamp | undefined;
  largest: (LogPosition & { readonly bytes: number }) | undefined;

  add(record: LogRecord, partition: number): void {
    const { offset, timestamp_ms, key, value } = record;
    if (this.oldest === undefined || timestamp_ms < this.oldest) this.oldest = timestamp_ms;
    if (this.newest === undefined || timestamp_ms > this.newest) this.newest = timestamp_ms;
    const bytes = batchBytes(recordBytes({ key, value, headers: record.headers() }));
    if (bytes > (this.largest?.bytes ?? 0)) this.largest = { partition, offset, bytes };
  }
}
