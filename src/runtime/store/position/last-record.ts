import type { LogRecord, NewRecord } from "../../../log/port.ts";

/**
 * The last record applied. It is kept so that a log that holds another record there is noticed. A batch that cannot be
 * decoded counts as one record, at its last offset and without bytes.
 */
export interface LastRecord {
  readonly offset: number;
  readonly checksum: number;
  /** Undefined where it is not known, as in a store from before it was kept. */
  readonly leaderEpoch: number | undefined;
}

export const lastRecordOf = (record: LogRecord): LastRecord => ({
  offset: lastOffsetOf(record),
  checksum: recordChecksum(record.key, record.value),
  leaderEpoch: record.leaderEpoch,
});

/**
 * Whether the log's record at the offset is the one that was applied: offset and leader epoch identify it, and the
 * checksum proves it.
 */
export const isSameRecord = (last: LastRecord, record: LogRecord): boolean =>
  lastOffsetOf(record) === last.offset &&
  (last.leaderEpoch === undefined || record.leaderEpoch === last.leaderEpoch) &&
  recordChecksum(record.key, record.value) === last.checksum;

export const lastOffsetOf = ({ offset, undecodable }: LogRecord): number => undecodable?.lastOffset ?? offset;

/** CRC-32 of key and value. */
export const recordChecksum = (key: NewRecord["key"], value: NewRecord["value"]): number =>
  Bun.hash.crc32(value ?? "", Bun.hash.crc32(key ?? ""));
