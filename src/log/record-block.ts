import type { LogRecord, UndecodableBatch } from "./port.ts";

/**
 * Consecutive records that lie in one buffer, and where each lies in it: for whoever reads bytes and has no use for an
 * object for each record. Both are views on what was fetched; whoever keeps anything longer than the batch must copy it.
 */
export interface RecordBlock {
  readonly bytes: Buffer;
  /** At least 1. */
  readonly count: number;
  /**
   * PLACE_NUMBERS numbers for each record, in ascending order of offset. OFFSET, KEY_FROM, KEY_TO, VALUE_FROM and
   * VALUE_TO say which is which; the others belong to the block. Key and value are the bytes from …_FROM up to, and not
   * including, …_TO. If one is null, its …_FROM is −1, and its …_TO means nothing.
   */
  readonly places: Int32Array;
  /** What OFFSET is counted from. It may be lower than the first record's offset. */
  readonly baseOffset: number;
  /**
   * Present if the block stands for a batch that cannot be decoded. It then has one record, without key and value, at
   * the batch's first offset.
   */
  readonly undecodable?: UndecodableBatch | undefined;
  /** The n-th record as an object, with timestamp and headers; another object each time. `n` is less than `count`. */
  record(n: number): LogRecord;
}

export const PLACE_NUMBERS = 7;
export const OFFSET = 0;
export const KEY_FROM = 1;
export const KEY_TO = 2;
export const VALUE_FROM = 3;
export const VALUE_TO = 4;

/** All records of the blocks, as objects. */
export function recordsOf(blocks: readonly RecordBlock[]): LogRecord[] {
  const records: LogRecord[] = [];
  for (const block of blocks) for (let n = 0; n < block.count; n++) records.push(block.record(n));
  return records;
}

export const offsetIn = (block: RecordBlock, n: number): number =>
  block.baseOffset + (block.places[n * PLACE_NUMBERS + OFFSET] as number);
