import type { Log, LogRecord, NewHeader, NewRecord, Timestamp } from "../../../src/log/port.ts";

/**
 * A record as it lies in the log, with every byte as Latin-1 and null distinct from empty, so that records can be
 * compared and printed.
 */
export interface ExactRecord {
  readonly partition: number;
  readonly offset: number;
  readonly timestamp_ms: Timestamp;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [name: string, value: string | null])[];
}

/** A record as it is read from the log; a test names only the fields that it is about. */
export const aLogRecord = ({
  headers = [],
  ...fields
}: Partial<Omit<LogRecord, "headers">> & { readonly headers?: readonly NewHeader[] } = {}): LogRecord => {
  const read = headers.map(([name, value]) => [name, bytes(value)] as const);
  return {
    offset: 0,
    timestamp_ms: 0,
    key: Buffer.from("k"),
    value: Buffer.from("v"),
    leaderEpoch: 0,
    ...fields,
    headers: () => read,
  };
};

/** An appended record as it is read from the log. */
export const storedRecord = (record: NewRecord, offset = 0, leaderEpoch = 0): LogRecord => {
  const { key, value, headers, timestamp_ms } = record;
  return aLogRecord({ offset, leaderEpoch, timestamp_ms, key: bytes(key), value: bytes(value), headers });
};

/** The committed records of a topic in the order of partition and offset, up to the ends at the time of the call. */
export async function* committedRecords(
  log: Log,
  topic: string,
): AsyncGenerator<{ readonly partition: number; readonly record: LogRecord }> {
  const ends = await log.watermarks(topic);
  const reader = log.reader(topic);
  try {
    for (const [partition, { startOffset, endOffset }] of ends.entries()) {
      for (let at = startOffset; at < endOffset;) {
        const [result] = await reader.fetch(new Map([[partition, at]]), { wait_ms_max: 500, partition_bytes_max: 1 << 20 });
        if (!result) continue;
        if (!("batch" in result)) throw new Error(`${topic}:${partition}:${at} cannot be read: ${JSON.stringify(result)}`);
        for (const record of result.batch.records) yield { partition, record };
        at = result.batch.nextOffset;
      }
    }
  } finally {
    await reader.close();
  }
}

/** All committed records of a topic, in a form that can be compared. */
export async function readExact(log: Log, topic: string): Promise<ExactRecord[]> {
  const records: ExactRecord[] = [];
  for await (const { partition, record } of committedRecords(log, topic)) {
    records.push({
      partition,
      offset: record.offset,
      timestamp_ms: record.timestamp_ms,
      key: latin1(record.key),
      value: latin1(record.value),
      headers: record.headers().map(([name, value]) => [name, latin1(value)] as const),
    });
  }
  return records;
}

export const headerOf = (record: ExactRecord, name: string): string | null | undefined =>
  record.headers.findLast(([given]) => given === name)?.[1];

/**
 * The record's headers sorted by name, since Connect does not keep their order, without those whose names begin with
 * `but`.
 */
export const headersByName = (record: ExactRecord, but?: string): ExactRecord["headers"] =>
  record.headers
    .filter(([name]) => but === undefined || !name.startsWith(but))
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

const latin1 = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString("latin1");

const bytes = (given: string | Uint8Array | null): Buffer | null => (given === null ? null : Buffer.from(given as string));
