import type { Header, LogRecord, NewRecord, Timestamp } from "../../log/port.ts";
import { isTimestamp, timestampOf } from "../../log/timestamp.ts";

/**
 * A record as a line of an archive, the same as pipelines/archive.yaml writes it: bytes in base64, or null, and every
 * header in order. `timestamp_ms` is a 64-bit integer: a parser that reads numbers as doubles loses its last digits.
 */
interface ArchiveLine {
  readonly headers: readonly (readonly [name: string, value: string | null])[];
  readonly key: string | null;
  readonly offset: number;
  readonly partition: number;
  readonly timestamp_ms: number;
  readonly topic: string;
  readonly value: string | null;
}

const encoded = (bytes: Uint8Array | null): string | null =>
  bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
const decoded = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text, "base64"));

export function archiveLine(record: LogRecord, partition: number, topic: string): string {
  const { timestamp_ms } = record;
  const line: ArchiveLine = {
    headers: record.headers().map(([name, value]) => [name, encoded(value)] as const),
    key: encoded(record.key),
    offset: record.offset,
    partition,
    timestamp_ms: typeof timestamp_ms === "number" ? timestamp_ms : 0,
    topic,
    value: encoded(record.value),
  };
  const text = JSON.stringify(line);
  return typeof timestamp_ms === "number" ? text : text.replace(TIMESTAMP, `"timestamp_ms":${timestamp_ms}`);
}

/** Matches the member alone and no string of the line: a quote inside a string has a backslash before it. */
const TIMESTAMP = /"timestamp_ms":(-?[0-9]{1,19})(?![0-9.eE])/;

/** The timestamp of the line; `about` is the same number as a double. */
function exactTimestamp(text: string, about: unknown): Timestamp | undefined {
  if (Number.isSafeInteger(about)) return about as number;
  const digits = typeof about === "number" ? TIMESTAMP.exec(text)?.[1] : undefined;
  const exact = digits === undefined ? undefined : timestampOf(BigInt(digits));
  return exact !== undefined && isTimestamp(exact) ? exact : undefined;
}

export interface ArchivedRecord {
  readonly partition: number;
  readonly record: LogRecord;
}

/** Throws a plain Error where the text is not a line of an archive of this topic. */
export function parseArchiveLine(text: string, topic: string): ArchivedRecord {
  const line = JSON.parse(text) as Partial<ArchiveLine> | null;
  const { offset, partition, key, value, headers } = line ?? {};
  const timestamp_ms = exactTimestamp(text, line?.timestamp_ms);
  if (line?.topic !== topic || !isCount(offset) || !isCount(partition) || timestamp_ms === undefined)
    throw new Error(`it is no record of ${topic}`);
  if (!isBytes(key) || !isBytes(value) || !isHeaders(headers)) throw new Error(`it has no key, value or headers`);
  const list: Header[] = headers.map(([name, bytes]) => [name, decoded(bytes)]);
  const record = { offset, timestamp_ms, key: decoded(key), value: decoded(value), leaderEpoch: 0, headers: () => list };
  return { partition, record };
}

const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
const isBytes = (text: unknown): text is string | null => text === null || typeof text === "string";
const isHeaders = (list: unknown): list is ArchiveLine["headers"] =>
  Array.isArray(list) &&
  list.every((header) => Array.isArray(header) && typeof header[0] === "string" && isBytes(header[1] as unknown));

export const asNewRecord = ({ partition, record }: ArchivedRecord): NewRecord => ({
  partition,
  key: record.key,
  value: record.value,
  timestamp_ms: record.timestamp_ms,
  headers: record.headers(),
});
