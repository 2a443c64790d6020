import { describe, expect, test } from "bun:test";
import { cutBatch, firstRecord, lastRecord, recordsBefore } from "../../src/log/batch-records.ts";
import type { Batch, LogRecord } from "../../src/log/port.ts";
import { OFFSET, PLACE_NUMBERS, type RecordBlock, recordsOf } from "../../src/log/record-block.ts";

const OFFSETS = [[5, 6, 8], [9], [12, 13]];

const recordAt = (offset: number): LogRecord => ({
  offset,
  timestamp_ms: 0,
  key: null,
  value: null,
  leaderEpoch: 0,
  headers: () => [],
});

const ENDS = { partition: 1, baseOffset: 5, nextOffset: 15, endOffset: 20, stableOffset: 19, leaderEpoch: 2 };

/** A batch with blocks; `made` are the offsets of the records that were made objects. */
function batchWithBlocks(offsets: readonly (readonly number[])[] = OFFSETS) {
  const made: number[] = [];
  const blocks = offsets.map((all): RecordBlock => {
    const baseOffset = all[0] as number;
    const places = new Int32Array(all.length * PLACE_NUMBERS);
    for (const [n, offset] of all.entries()) places[n * PLACE_NUMBERS + OFFSET] = offset - baseOffset;
    const record = (n: number) => {
      made.push(all[n] as number);
      return recordAt(all[n] as number);
    };
    return { bytes: Buffer.alloc(0), count: all.length, places, baseOffset, record };
  });
  const batch: Batch = {
    ...ENDS,
    blocks,
    get records() {
      return recordsOf(blocks);
    },
  };
  return { batch, made };
}

const batchWithout = (offsets: readonly number[] = OFFSETS.flat()): Batch => ({ ...ENDS, records: offsets.map(recordAt) });
const offsetsOf = (records: readonly LogRecord[]) => records.map(({ offset }) => offset);

describe("some records of a batch", () => {
  test("are the first and the last one, of which alone objects are made", () => {
    const { batch, made } = batchWithBlocks();
    expect([firstRecord(batch)?.offset, lastRecord(batch)?.offset]).toEqual([5, 13]);
    expect(made).toEqual([5, 13]);
    expect([firstRecord(batchWithout())?.offset, lastRecord(batchWithout())?.offset]).toEqual([5, 13]);
  });

  test("are none where the batch has none", () => {
    for (const batch of [batchWithBlocks([]).batch, batchWithout([])]) {
      expect(firstRecord(batch)).toBeUndefined();
      expect(lastRecord(batch)).toBeUndefined();
    }
  });

  test.each([
    [5, []],
    [8, [5, 6]],
    [9, [5, 6, 8]],
    [10, [5, 6, 8, 9]],
    [99, [5, 6, 8, 9, 12, 13]],
  ])("are those before offset %d", (offset, expected) => {
    const { batch, made } = batchWithBlocks();
    expect(offsetsOf(recordsBefore(batch, offset))).toEqual(expected);
    expect(made).toEqual(expected);
    expect(offsetsOf(recordsBefore(batchWithout(), offset))).toEqual(expected);
  });

  test("are a batch of their own, whose blocks do not say more than its records", () => {
    for (const batch of [batchWithBlocks().batch, batchWithout()]) {
      const { records, ...cut } = cutBatch(batch, 6, 12);
      expect(offsetsOf(records)).toEqual([6, 8, 9]);
      expect(cut).toEqual({ ...ENDS, baseOffset: 6, nextOffset: 12 });
    }
  });
});
