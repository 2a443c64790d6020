import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { gzipSync } from "node:zlib";
import { AnswerBuffers, AnswerMemory } from "../../../src/log/kafka/connection/answer-buffers.ts";
import { readAnswer } from "../../../src/log/kafka/read/read-answer.ts";
import { BatchOutput, encodeBatch } from "../../../src/log/kafka/records/encode-batch.ts";
import { decodeBatches } from "../../../src/log/kafka/records/record-batch.ts";
import type { LogRecord, NewRecord } from "../../../src/log/port.ts";
import * as block from "../../../src/log/record-block.ts";
import { timestampOf } from "../../../src/log/timestamp.ts";
import { type BatchOptions, recordBatch } from "../../support/cluster/record-batch.ts";

const HEAD_BYTES = 61;
const GZIP = 1;

/** A batch of another program with these values, at this offset of the log, from a leader of epoch 7. */
function batchAt(offset: number, values: readonly string[], options: BatchOptions = {}): Buffer {
  const bytes = recordBatch(
    values.map((value) => ({ key: null, value, headers: [["name", value]] as const })),
    { timestamp_ms: 1_000, ...options },
  );
  bytes.writeBigInt64BE(BigInt(offset), 0);
  bytes.writeInt32BE(7, 12);
  return bytes;
}

/** A batch as our encoder writes it, packed or not. */
function ourBatchAt(offset: number, records: readonly NewRecord[], isPacked: boolean): Buffer {
  const producer = { producerId: 7, producerEpoch: 1, sequence: 0, transactional: false };
  const plain = Buffer.from(encodeBatch(records, producer, new BatchOutput()));
  const bytes = isPacked ? Buffer.concat([plain.subarray(0, HEAD_BYTES), gzipSync(plain.subarray(HEAD_BYTES))]) : plain;
  bytes.writeBigInt64BE(BigInt(offset), 0);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt16BE(isPacked ? GZIP : 0, 21);
  return bytes;
}

const decoded = (...batches: readonly Buffer[]) => decodeBatches(Buffer.concat(batches), 0, []).blocks;

/** What the places alone say of each record. */
function readPlaces(blocks: readonly block.RecordBlock[]) {
  const found: unknown[] = [];
  for (const { bytes, places, baseOffset, count } of blocks) {
    const part = (from = -1, to = -1) => (from < 0 ? null : bytes.toString("hex", from, to));
    for (let n = 0, at = 0; n < count; n++, at += block.PLACE_NUMBERS) {
      found.push({
        offset: baseOffset + (places[at + block.OFFSET] ?? Number.NaN),
        key: part(places[at + block.KEY_FROM], places[at + block.KEY_TO]),
        value: part(places[at + block.VALUE_FROM], places[at + block.VALUE_TO]),
      });
    }
  }
  return found;
}

const hex = (part: string | Uint8Array | null) => (part === null ? null : Buffer.from(part as Uint8Array).toString("hex"));
const valuesOf = (records: readonly LogRecord[]) => records.map(({ value }) => value?.toString() ?? null);
const shown = ({ count, baseOffset, undecodable }: block.RecordBlock) => ({ count, baseOffset, undecodable });

const part = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(null));
const newRecord: fc.Arbitrary<NewRecord> = fc.record({
  partition: fc.constant(0),
  key: part,
  value: part,
  headers: fc.array(fc.tuple(fc.string({ maxLength: 80 }), part), { maxLength: 5 }),
  timestamp_ms: fc.oneof(
    fc.integer({ min: 0, max: 4_000_000_000_000 }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(timestampOf),
  ),
});
const anyBatch = fc.record({
  records: fc.array(newRecord, { minLength: 1, maxLength: 5 }),
  isPacked: fc.boolean(),
  /** How many offsets before the batch have no record. */
  gap: fc.constantFrom(0, 0, 1, 2 ** 31),
});

describe("the blocks of an answer", () => {
  test("say by places and by objects what was written, whatever it is and however it is packed", () => {
    fc.assert(
      fc.property(fc.array(anyBatch, { minLength: 1, maxLength: 5 }), (batches) => {
        let offset = 0;
        const written = batches.flatMap(({ records, gap }) => {
          offset += gap;
          return records.map((record) => ({ ...record, offset: offset++ }));
        });
        let at = 0;
        const bytes = batches.map(({ records, isPacked, gap }) => {
          const encoded = ourBatchAt(at + gap, records, isPacked);
          at += gap + records.length;
          return encoded;
        });
        const blocks = decoded(...bytes);
        const told = written.map((record) => ({ offset: record.offset, key: hex(record.key), value: hex(record.value) }));
        expect(readPlaces(blocks)).toEqual(told);
        expect(
          block.recordsOf(blocks).map((record) => ({
            offset: record.offset,
            key: hex(record.key),
            value: hex(record.value),
            timestamp_ms: record.timestamp_ms,
            headers: record.headers().map(([name, value]) => [name, hex(value)]),
          })),
        ).toEqual(
          written.map(({ timestamp_ms, headers }, n) => ({
            ...told[n]!,
            timestamp_ms,
            headers: headers.map(([name, value]) => [name, hex(value)]),
          })),
        );
      }),
    );
  });

  test("are one for batches that follow each other unpacked, and one for each packed batch", () => {
    const blocks = decoded(
      batchAt(0, ["a", "b"]),
      batchAt(2, ["c"]),
      batchAt(3, ["d", "e"], { codec: "zstd" }),
      batchAt(5, ["f"], { codec: "lz4" }),
      batchAt(6, ["g"]),
    );
    expect(blocks.map(({ baseOffset, count }) => [baseOffset, count])).toEqual([
      [0, 3],
      [3, 2],
      [5, 1],
      [6, 1],
    ]);
    expect(valuesOf(block.recordsOf(blocks))).toEqual(["a", "b", "c", "d", "e", "f", "g"]);
  });

  test("part where an offset would not fit an int32 beside the first one's", () => {
    const far = 2 ** 31;
    const blocks = decoded(batchAt(0, ["a"]), batchAt(far - 1, ["b"]), batchAt(far, ["c"]));
    expect(blocks.map(({ baseOffset, count }) => [baseOffset, count])).toEqual([
      [0, 2],
      [far, 1],
    ]);
    expect(block.recordsOf(blocks).map(({ offset }) => offset)).toEqual([0, far - 1, far]);
  });

  test("leave out the records before the offset asked for", () => {
    const bytes = Buffer.concat([batchAt(4, ["a", "b", "c"]), batchAt(7, ["d"])]);
    const { blocks, nextOffset } = decodeBatches(bytes, 6, []);
    expect(block.recordsOf(blocks).map(({ offset }) => offset)).toEqual([6, 7]);
    expect(nextOffset).toBe(8);
    expect(decodeBatches(bytes, 8, []).blocks).toEqual([]);
  });

  test("keep the epoch of each batch, and the log's own timestamp where the topic has that", () => {
    const stamped = batchAt(1, ["b"]);
    stamped.writeInt16BE(0x08, 21);
    stamped.writeBigInt64BE(2_000n, 35);
    stamped.writeInt32BE(8, 12);
    const records = block.recordsOf(decoded(batchAt(0, ["a"]), stamped));
    expect(records.map(({ leaderEpoch, timestamp_ms }) => [leaderEpoch, timestamp_ms])).toEqual([
      [7, 1_000],
      [8, 2_000],
    ]);
  });

  test("keep a timestamp exactly where the sum with its batch's is beyond what a number holds", () => {
    const stamps = [2 ** 53 - 1, 2n ** 53n + 1n];
    const records = stamps.map((timestamp_ms) => ({ partition: 0, key: null, value: null, headers: [], timestamp_ms }));
    const read = block.recordsOf(decoded(ourBatchAt(0, records, false)));
    expect(read.map(({ timestamp_ms }) => timestamp_ms)).toEqual(stamps);
  });

  test("have no record beyond their count", () => {
    const [only] = decoded(batchAt(0, ["a"]));
    expect(() => only?.record(1)).toThrow("The block has 1 records, and none with number 1.");
  });
});

describe("a batch that cannot be decoded", () => {
  const why = (offset: number, what: string) => `The record batch at offset ${offset} cannot be decoded: ${what}.`;

  test("is a block that says so, between the others, and none of its records is given", () => {
    const broken = batchAt(2, ["c", "d", "e"], { count: 3 });
    // The third record says that it is shorter than it is.
    broken[broken.length - 15] = 2;
    const blocks = decoded(batchAt(0, ["a", "b"]), broken, batchAt(5, ["f"]));
    const reason = why(2, "a record does not end where it says");
    expect(blocks.map(shown)).toEqual([
      { count: 2, baseOffset: 0, undecodable: undefined },
      { count: 1, baseOffset: 2, undecodable: { lastOffset: 4, reason } },
      { count: 1, baseOffset: 5, undecodable: undefined },
    ]);
    expect(readPlaces(blocks)[2]).toEqual({ offset: 2, key: null, value: null });
    const record = block.recordsOf(blocks)[2];
    expect(record).toMatchObject({ offset: 2, timestamp_ms: 1_000, key: null, value: null, leaderEpoch: 7 });
    expect(record?.undecodable).toEqual({ lastOffset: 4, reason });
    expect(record?.headers()).toEqual([]);
  });

  test("begins at the first of its offsets that was not read before", () => {
    const bytes = batchAt(4, ["a", "b", "c"], { count: 9 });
    bytes.writeInt32BE(2, 23);
    const { blocks, nextOffset } = decodeBatches(bytes, 5, []);
    expect(blocks.map(({ baseOffset }) => baseOffset)).toEqual([5]);
    expect(block.recordsOf(blocks)[0]).toMatchObject({ offset: 5, undecodable: { lastOffset: 6 } });
    expect(nextOffset).toBe(7);
  });

  test("may be a packed one, or a message of an old format, of which nothing but the offset is known", () => {
    const old = batchAt(3, ["x"]);
    old[16] = 1;
    const blocks = decoded(batchAt(0, ["a"]), batchAt(1, ["b"], { codec: "gzip", packed: Buffer.from("no gzip") }), old);
    expect(blocks.map(({ undecodable }) => undecodable?.reason)).toEqual([
      undefined,
      why(1, "its gzip bytes are damaged"),
      why(3, "it has format 1, and only format 2 (Kafka 0.11 and later) is read"),
    ]);
    expect(block.recordsOf(blocks)[2]).toMatchObject({ offset: 3, timestamp_ms: 0, leaderEpoch: 0 });
  });

  test("leaves nothing to the next answer, even if not even its offsets can be told", () => {
    const unknown = batchAt(1, ["b"]);
    unknown[16] = 9;
    expect(() => decoded(batchAt(0, ["a"]), unknown)).toThrow("a record batch has format 9");
    expect(valuesOf(block.recordsOf(decoded(batchAt(0, ["c"]))))).toEqual(["c"]);
  });
});

describe("a batch that is read", () => {
  const wanted = { partition: 3, offset: 0, leaderEpoch: 5 };
  const answer = { partition: 3, errorCode: 0, highWatermark: 9, stableOffset: 8, aborted: [] };
  const read = (bytes: Buffer) => {
    const memory = new AnswerMemory(bytes, new AnswerBuffers());
    const result = readAnswer(wanted, { ...answer, bytes }, { isFirst: true, isOwed: false, budget: { left_bytes: 1 }, memory });
    if (!result || !("batch" in result)) throw new Error(`no batch: ${JSON.stringify(result)}`);
    return result.batch;
  };

  test("has blocks and, once they are asked for, the same records as objects, which are made once", () => {
    const batch = read(Buffer.concat([batchAt(0, ["a", "b"]), batchAt(2, ["c"])]));
    expect(batch).toMatchObject({ baseOffset: 0, nextOffset: 3, endOffset: 9, stableOffset: 8, leaderEpoch: 5 });
    expect(batch.blocks?.map(({ count }) => count)).toEqual([3]);
    expect(valuesOf(batch.records)).toEqual(["a", "b", "c"]);
    expect(batch.records).toBe(batch.records);
  });
});
