import type { NewRecord } from "../log.ts";

/** Who appends, for the broker's duplicate detection (KIP-98): the batch's first record has sequence number `sequence`. */
export interface BatchProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly sequence: number;
  readonly transactional: boolean;
}

const BATCH_HEADER_BYTES = 61;
const CRC_OFFSET = 17;
const CRC_FROM = 21;
const TRANSACTIONAL_BIT = 0x10;

/** Encodes the records of one partition as one record batch, version 2, uncompressed. `records` is not empty. */
export function encodeBatch(records: readonly NewRecord[], producer: BatchProducer): Buffer {
  const out = new Output(BATCH_HEADER_BYTES + records.length * 512);
  out.at = BATCH_HEADER_BYTES;
  const baseTimestamp_ms = records[0]?.timestamp_ms ?? 0;
  let maxTimestamp_ms = baseTimestamp_ms;
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as NewRecord;
    maxTimestamp_ms = Math.max(maxTimestamp_ms, record.timestamp_ms);
    out.record(record, i, record.timestamp_ms - baseTimestamp_ms);
  }
  const batch = out.buffer.subarray(0, out.at);
  batch.fill(0, 0, BATCH_HEADER_BYTES);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch[16] = 2;
  batch.writeInt16BE(producer.transactional ? TRANSACTIONAL_BIT : 0, 21);
  batch.writeInt32BE(records.length - 1, 23);
  writeInt64(batch, baseTimestamp_ms, 27);
  writeInt64(batch, maxTimestamp_ms, 35);
  writeInt64(batch, producer.producerId, 43);
  batch.writeInt16BE(producer.producerEpoch, 51);
  batch.writeInt32BE(producer.sequence, 53);
  batch.writeInt32BE(records.length, 57);
  batch.writeUInt32BE(crc32c(batch, CRC_FROM), CRC_OFFSET);
  return batch;
}

class Output {
  buffer: Buffer;
  at = 0;

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafe(size);
  }

  record(record: NewRecord, offsetDelta: number, timestampDelta_ms: number): void {
    // The body's length stands before the body. It is written after it, into five bytes kept free, and the body is moved up.
    const lengthAt = this.at;
    this.at += 5;
    const bodyAt = this.at;
    this.reserve(16);
    this.buffer[this.at++] = 0;
    this.varint(timestampDelta_ms);
    this.varint(offsetDelta);
    this.bytes(record.key);
    this.bytes(record.value);
    this.reserve(5);
    this.varint(record.headers.length);
    for (const [name, value] of record.headers) {
      this.bytes(name);
      this.bytes(value);
    }
    const end = this.at;
    this.at = lengthAt;
    this.varint(end - bodyAt);
    this.buffer.copyWithin(this.at, bodyAt, end);
    this.at += end - bodyAt;
  }

  bytes(value: string | Uint8Array | null): void {
    if (value === null) {
      this.reserve(1);
      this.buffer[this.at++] = 1;
    } else if (typeof value === "string") {
      this.reserve(5 + value.length * 3);
      // A string without a character beyond ASCII has as many bytes as characters; only then is its length known before writing.
      const written = this.buffer.write(value, this.at + varintBytes(value.length), "utf8");
      if (written === value.length) {
        this.varint(written);
        this.at += written;
      } else {
        this.bytes(Buffer.from(value));
      }
    } else {
      this.reserve(5 + value.length);
      this.varint(value.length);
      this.buffer.set(value, this.at);
      this.at += value.length;
    }
  }

  /** Zigzag, exact up to 2^52. */
  varint(n: number): void {
    let rest = n >= 0 ? n * 2 : -n * 2 - 1;
    while (rest >= 0x80) {
      this.buffer[this.at++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.buffer[this.at++] = rest;
  }

  reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }
}

const varintBytes = (n: number): number => (n < 64 ? 1 : n < 8_192 ? 2 : n < 1_048_576 ? 3 : n < 134_217_728 ? 4 : 5);

function writeInt64(buffer: Buffer, n: number, at: number): void {
  const high = Math.floor(n / 4294967296);
  buffer.writeInt32BE(high, at);
  buffer.writeUInt32BE(n - high * 4294967296, at + 4);
}

/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), which neither Bun nor node:zlib has. */
function crc32c(bytes: Buffer, from: number): number {
  let crc = 0xffffffff;
  for (let i = from; i < bytes.length; i++) crc = (CRC_TABLE[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let crc = n;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});
