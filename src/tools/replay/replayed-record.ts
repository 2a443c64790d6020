import type { LogPosition } from "../../log/log-position.ts";
import type { Header, LogRecord, NewRecord } from "../../log/port.ts";
import { REPLAY_HEADERS } from "../../log/record-headers.ts";
import { headerText } from "../scan/selection.ts";

/** The headers of a replay; those of an earlier replay are replaced. */
const NAMES: readonly string[] = Object.values(REPLAY_HEADERS);

/** The record that a replay writes: the same record with the replay's headers. */
export function replayedRecord(record: LogRecord, partition: number, topic: string, id: string): NewRecord {
  return {
    partition,
    key: record.key,
    value: record.value,
    timestamp_ms: record.timestamp_ms,
    headers: [
      ...record.headers().filter(([name]) => !NAMES.includes(name)),
      [REPLAY_HEADERS.id, id],
      [REPLAY_HEADERS.topic, topic],
      [REPLAY_HEADERS.partition, String(partition)],
      [REPLAY_HEADERS.offset, String(record.offset)],
    ],
  };
}

/**
 * The position that the record was replayed from, in an object; undefined where this replay did not write the record.
 */
export function replayedFrom(record: LogRecord, id: string): { readonly origin: LogPosition | undefined } | undefined {
  const headers = record.headers();
  if (headerText(headers, REPLAY_HEADERS.id) !== id) return undefined;
  return { origin: positionIn(headers, REPLAY_HEADERS.partition, REPLAY_HEADERS.offset) };
}

export function positionIn(headers: readonly Header[], partitionHeader: string, offsetHeader: string): LogPosition | undefined {
  const partition = headerText(headers, partitionHeader) ?? "";
  const offset = headerText(headers, offsetHeader) ?? "";
  return /^[0-9]{1,9}$/.test(partition) && /^[0-9]{1,15}$/.test(offset)
    ? { partition: Number(partition), offset: Number(offset) }
    : undefined;
}
