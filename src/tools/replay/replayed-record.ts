import type { LogPosition } from "../../log/log-position.ts";
import type { Header, LogRecord, NewRecord } from "../../log/port.ts";
import { REPLAY_HEADERS } from "../../log/record-headers.ts";
import { headerText } from "../scan/selection.ts";

/** An earlier replay's are replaced. */
const NAMES: readonly string[] = Object.values(REPLAY_HEADERS);

/** The record as a replay writes it: the same but for the headers of a replay. */
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

/** Whether this replay wrote the record, and where it says that it was read; undefined where it did not. */
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
