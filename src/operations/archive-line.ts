import type { Header, LogRecord, NewRecord } from "../log/log.ts";

/** A record as a line of an archive, the same as pipelines/archive.yaml writes it: bytes in base64, or null; every header, in order. */
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
  const line: ArchiveLine = {
    headers: record.headers().map(([name, value]) => [name, encoded(value)] as const),
    key: encoded(record.key),
    offset: record.offset,
    partition,
    timestamp_ms: record.timestamp_ms,
    topic,
    value: encoded(record.value),
  };
  return JSON.stringify(line);
}

export interface ArchivedRecord {
  readonly partition: number;
  readonly record: LogRecord;
}

/** Throws a plain Error where it is no such line, or of another topic. */
export function parseArchiveLine(text: string, topic: string): ArchivedRecord {
  const line = JSON.parse(text) as Partial<ArchiveLine>;
  const { offset, partition, timestamp_ms, key, value, headers } = line;
  if (line.topic !== topic || !isCount(offset) || !isCount(partition) || !Number.isSafeInteger(timestamp_ms))
    throw new Error(`it is no record of ${topic}`);
  if (
    !isBytes(key) ||
    !isBytes(value) ||
    !Array.isArray(headers) ||
    !headers.every(([name, bytes]) => typeof name === "string" && isBytes(bytes))
  )
    throw new Error(`it has no key, value or headers`);
  const list: Header[] = headers.map(([name, bytes]) => [name, decoded(bytes)]);
  const record = { offset, timestamp_ms: timestamp_ms as number, key: decoded(key), value: decoded(value), headers: () => list };
  return { partition, record };
}

const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
const isBytes = (text: unknown): text is string | null => text === null || typeof text === "string";

export const asNewRecord = ({ partition, record }: ArchivedRecord): NewRecord => ({
  partition,
  key: record.key,
  value: record.value,
  timestamp_ms: record.timestamp_ms,
  headers: record.headers(),
});
