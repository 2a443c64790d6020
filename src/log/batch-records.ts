import type { Batch, LogRecord } from "./port.ts";
import { offsetIn } from "./record-block.ts";

/**
 * Some of a batch's records, for whoever does not need all. Where a batch has blocks, `batch.records` makes an object
 * of each record; these functions make objects only of those that they return.
 */
export function firstRecord(batch: Batch): LogRecord | undefined {
  return batch.blocks ? batch.blocks[0]?.record(0) : batch.records[0];
}

export function lastRecord(batch: Batch): LogRecord | undefined {
  if (!batch.blocks) return batch.records.at(-1);
  const block = batch.blocks.at(-1);
  return block?.record(block.count - 1);
}

/** The record whose last offset is this one; undefined if the batch has none. */
export function recordEndingAt(batch: Batch, offset: number): LogRecord | undefined {
  const endsThere = (record: LogRecord) => (record.undecodable?.lastOffset ?? record.offset) === offset;
  if (!batch.blocks) return batch.records.find(endsThere);
  for (const block of batch.blocks) {
    const lastOffset = block.undecodable?.lastOffset ?? offsetIn(block, block.count - 1);
    if (lastOffset < offset) continue;
    for (let n = block.count - 1; n >= 0; n--) {
      const record = block.undecodable || offsetIn(block, n) === offset ? block.record(n) : undefined;
      if (record && endsThere(record)) return record;
    }
    return undefined;
  }
  return undefined;
}

/** The records before this offset. */
export function recordsBefore(batch: Batch, offset: number): LogRecord[] {
  if (!batch.blocks) return batch.records.filter((record) => record.offset < offset);
  const records: LogRecord[] = [];
  for (const block of batch.blocks) {
    for (let n = 0; n < block.count; n++) {
      if (offsetIn(block, n) >= offset) return records;
      records.push(block.record(n));
    }
  }
  return records;
}

/** What the batch has from offset `from` up to, and not including, `to`, as if only that had been read. */
export function cutBatch({ partition, endOffset, stableOffset, leaderEpoch, records }: Batch, from: number, to: number): Batch {
  const within = records.filter(({ offset }) => offset >= from && offset < to);
  return { partition, baseOffset: from, nextOffset: to, endOffset, stableOffset, leaderEpoch, records: within };
}
