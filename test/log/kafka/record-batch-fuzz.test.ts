import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { compressFrameSync } from "lz4-napi";
import { compressSync } from "snappy";
import { BatchOutput, encodeBatch } from "../../../src/log/kafka/records/encode-batch.ts";
import { decodeBatches } from "../../../src/log/kafka/records/record-batch.ts";
import type { NewRecord } from "../../../src/log/port.ts";
import { recordsOf } from "../../../src/log/record-block.ts";
import { seededRandom } from "../../simulation/scheduler.ts";
import { pick } from "../../support/random.ts";

/** `FUZZ_BATCHES=1000000 FUZZ_SEED=7 bun test test/log/kafka/record-batch-fuzz.test.ts` runs more, or others. */
const BATCHES = Number(process.env["FUZZ_BATCHES"] ?? 100_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 20_261_126);
const FROM = 1_000;
const HEADER_BYTES = 61;

const upTo = (random: () => number, n: number): number => Math.floor(random() * n);

/** Numbers at which readers of varints, lengths and offsets go wrong. */
const EDGES = [-(2 ** 31), -65_536, -2, -1, 0, 1, 2, 12, 48, 49, 50, 61, 127, 128, 255, 65_535, 2 ** 20, 2 ** 30, 2 ** 31 - 1];

const CODECS: readonly ((bytes: Buffer) => Buffer)[] = [
  (bytes) => bytes,
  (bytes) => gzipSync(bytes),
  (bytes) => compressSync(bytes),
  (bytes) => compressFrameSync(bytes),
  (bytes) => zstdCompressSync(bytes),
];

function record(random: () => number): NewRecord {
  const part = () => pick(random, [null, "", "ORD-1", "x".repeat(upTo(random, 200)), Buffer.from([0, 255, 128])]);
  const headers = Array.from({ length: upTo(random, 4) }, () => [pick(random, ["", "ce_id", "h".repeat(80)]), part()] as const);
  const stamp = pick(random, [0, -1, 1_700_000_000_000, 1_700_000_000_000_000_000n, -(2n ** 63n), 2n ** 63n - 1n]);
  return { partition: 0, key: part(), value: part(), headers, timestamp_ms: stamp };
}

/** A good batch with this first offset, packed by a codec, in a transaction or not, or a transaction's marker. */
function batch(random: () => number, baseOffset: number): Buffer {
  const records = Array.from({ length: 1 + upTo(random, 5) }, () => record(random));
  const producer = { producerId: 7, producerEpoch: 0, sequence: 0, transactional: random() < 0.2 };
  const plain = Buffer.from(encodeBatch(records, producer, new BatchOutput()));
  const codec = random() < 0.5 ? 0 : upTo(random, CODECS.length);
  const body = (CODECS[codec] as (bytes: Buffer) => Buffer)(plain.subarray(HEADER_BYTES));
  const bytes = Buffer.concat([plain.subarray(0, HEADER_BYTES), body]);
  bytes.writeBigInt64BE(BigInt(baseOffset), 0);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt16BE(bytes.readInt16BE(21) | codec | (random() < 0.05 ? 0x20 : 0), 21);
  return bytes;
}

/** The header's fields: where they stand and how wide they are. */
const FIELDS = [
  [0, 8],
  [8, 4],
  [12, 4],
  [16, 1],
  [21, 2],
  [23, 4],
  [27, 8],
  [35, 8],
  [43, 8],
  [57, 4],
] as const;

function mutate(random: () => number, bytes: Buffer): Buffer {
  const at = upTo(random, bytes.length);
  switch (upTo(random, 7)) {
    case 0:
      bytes[at] = (bytes[at] as number) ^ (1 << upTo(random, 8));
      return bytes;
    case 1:
      bytes[at] = pick(random, [0, 1, 2, 0x7f, 0x80, 0xff]);
      return bytes;
    case 2: {
      const [offset, width] = pick(random, FIELDS);
      const edge = pick(random, EDGES);
      if (offset + width > bytes.length) return bytes;
      if (width === 8) bytes.writeBigInt64BE(random() < 0.5 ? BigInt(edge) : BigInt(FROM + edge), offset);
      else bytes.writeIntBE((edge % 2 ** (width * 8 - 1)) | 0, offset, width);
      return bytes;
    }
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return Buffer.concat([
        bytes.subarray(0, at),
        Buffer.from([0x80, 0x80, 0xff, 0x7f].slice(0, 1 + upTo(random, 4))),
        bytes.subarray(at),
      ]);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + upTo(random, 8)))]);
    default:
      // The length is right again, so that what is wrong lies within the batch.
      if (bytes.length >= HEADER_BYTES) bytes.writeInt32BE(bytes.length - 12, 8);
      return bytes;
  }
}

/** Throws if what was decoded contradicts itself. */
function check(bytes: Buffer): "refused" | "nothing" | "taken" | "broken" {
  let decoded: ReturnType<typeof decodeBatches>;
  try {
    decoded = decodeBatches(bytes, FROM, [{ producerId: 7, firstOffset: FROM }]);
  } catch (e) {
    if (!(e instanceof Error) || e instanceof RangeError || e instanceof TypeError) throw e;
    return "refused";
  }
  const { blocks, nextOffset } = decoded;
  const records = recordsOf(blocks);
  if (!Number.isSafeInteger(nextOffset) || nextOffset < FROM) throw new Error(`it goes on at ${nextOffset}`);
  if (records.length > 0 && nextOffset === FROM) throw new Error("records, and no way on");
  let before = FROM - 1;
  for (const one of records) {
    if (one.offset <= before || one.offset >= nextOffset)
      throw new Error(`offset ${one.offset} after ${before}, before ${nextOffset}`);
    before = one.undecodable ? one.undecodable.lastOffset : one.offset;
    if (before >= nextOffset || before < one.offset) throw new Error(`a broken batch ends at ${before}`);
    for (const [name] of one.headers()) if (typeof name !== "string") throw new Error("a header without a name");
    if (typeof one.timestamp_ms === "number" && !Number.isSafeInteger(one.timestamp_ms))
      throw new Error(`stamped ${one.timestamp_ms}`);
  }
  if (records.length === 0) return "nothing";
  return records.some(({ undecodable }) => undecodable) ? "broken" : "taken";
}

describe("a record batch of which some bytes are wrong", () => {
  test(`is taken only where it is consistent, and ends, ${BATCHES} times`, () => {
    const random = seededRandom(SEED);
    const seen = { refused: 0, nothing: 0, taken: 0, broken: 0 };
    for (let n = 0; n < BATCHES; n++) {
      let bytes = batch(random, FROM - upTo(random, 3));
      for (let times = upTo(random, 4); times >= 0 && bytes.length > 0; times--) bytes = mutate(random, bytes);
      if (random() < 0.3) bytes = Buffer.concat([bytes, batch(random, FROM + upTo(random, 20) - 5)]);
      const copy = Buffer.from(bytes);
      try {
        seen[check(bytes)]++;
      } catch (e) {
        throw new Error(`batch ${n} of seed ${SEED}: ${String(e)}: ${copy.toString("hex")}`, { cause: e });
      }
    }
    // Each outcome occurs, so none of them is the only one that was tried.
    for (const [way, count] of Object.entries(seen))
      expect({ way, isSeen: count > BATCHES / 200 }).toEqual({ way, isSeen: true });
  }, 120_000);
});
