import type { Header, LogRecord, NewHeader, NewRecord, Timestamp } from "../log/log.ts";
import type { Place } from "./replayed-record.ts";

/** How far records reach: what a topic must take to take them all. */
export interface Extent {
  readonly oldest: Timestamp | undefined;
  readonly newest: Timestamp | undefined;
  readonly largest: (Place & { readonly bytes: number }) | undefined;
}

/** A record's own lengths, counts and deltas, each at its longest; and of a header. */
const RECORD_HEAD_BYTES = 36;
const HEADER_HEAD_BYTES = 10;
/** Of a batch, before its records. */
const BATCH_HEAD_BYTES = 61;

const bytesIn = (part: string | Uint8Array | null): number =>
  part === null ? 0 : typeof part === "string" ? Buffer.byteLength(part) : part.length;

/** What a record takes in a batch of the log, at most, as it is before any compression. */
export function encodedBytes({
  key,
  value,
  headers,
}: {
  readonly key: NewRecord["key"];
  readonly value: NewRecord["value"];
  readonly headers: readonly (Header | NewHeader)[];
}): number {
  let bytes = RECORD_HEAD_BYTES + bytesIn(key) + bytesIn(value);
  for (const [name, header] of headers) bytes += HEADER_HEAD_BYTES + bytesIn(name) + bytesIn(header);
  return bytes;
}

/** What a batch of records of so many bytes takes. */
export const batchBytes = (records_bytes: number): number => BATCH_HEAD_BYTES + records_bytes;

/** Takes in one record after the other. */
export class ExtentSoFar implements Extent {
  oldest: Timestamp | undefined;
  newest: Timestamp | undefined;
  largest: (Place & { readonly bytes: number }) | undefined;

  add(record: LogRecord, partition: number): void {
    const { offset, timestamp_ms, key, value } = record;
    if (this.oldest === undefined || timestamp_ms < this.oldest) this.oldest = timestamp_ms;
    if (this.newest === undefined || timestamp_ms > this.newest) this.newest = timestamp_ms;
    const bytes = batchBytes(encodedBytes({ key, value, headers: record.headers() }));
    if (bytes > (this.largest?.bytes ?? 0)) this.largest = { partition, offset, bytes };
  }
}
