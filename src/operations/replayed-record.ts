import type { LogRecord, NewRecord } from "../log/log.ts";
import { headerText } from "./selection.ts";

/** What a replayed record has beside its own headers. An earlier replay's are replaced. */
const REPLAY_HEADERS = {
  id: "x-replay-id",
  topic: "x-replayed-from-topic",
  partition: "x-replayed-from-partition",
  offset: "x-replayed-from-offset",
} as const;
const NAMES: readonly string[] = Object.values(REPLAY_HEADERS);

/** A place in a topic. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
}

/** The record as a replay writes it: the same but for the headers above. */
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

export const isReplayed = (record: LogRecord, id: string): boolean => headerText(record, REPLAY_HEADERS.id) === id;

/** Where a replayed record says that it was read; undefined where it does not say so. */
export const replayedFrom = (record: LogRecord): Place | undefined =>
  placeIn(record, REPLAY_HEADERS.partition, REPLAY_HEADERS.offset);

export function placeIn(record: LogRecord, partitionHeader: string, offsetHeader: string): Place | undefined {
  const partition = headerText(record, partitionHeader) ?? "";
  const offset = headerText(record, offsetHeader) ?? "";
  return /^[0-9]{1,9}$/.test(partition) && /^[0-9]{1,15}$/.test(offset)
    ? { partition: Number(partition), offset: Number(offset) }
    : undefined;
}
