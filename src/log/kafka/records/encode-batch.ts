import { BATCH_HEAD_BYTES } from "../../append/record-size.ts";
import { crc32c } from "./crc32c.ts";
import { encodeName } from "../../header-names.ts";
import type { NewHeader, NewRecord, Timestamp } from "../../port.ts";

/**
 * Who appends, for the broker's duplicate detection (KIP-98). The batch's first record has the sequence number
 * `sequence`.
 */
export interface BatchProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly sequence: number;
  readonly transactional: boolean;
}

const CRC_OFFSET = 17;
const CRC_FROM = 21;
const TRANSACTIONAL_BIT = 0x10;

/**
 * Encodes the records of one partition, at least one, as an uncompressed record batch, version 2. It is written after
 * what `out` already holds, and the bytes returned are `out`'s own.
 */
export function encodeBatch(records: readonly NewRecord[], producer: BatchProducer, out: BatchOutput): Buffer {
  out.begin(BATCH_HEAD_BYTES);
  const base = records[0]?.timestamp_ms ?? 0;
  let latest = base;
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as NewRecord;
    const { timestamp_ms } = record;
    if (timestamp_ms > latest) latest = timestamp_ms;
    out.record(record, i, deltaOf(timestamp_ms, base));
  }
  const batch = out.end();
  batch.fill(0, 0, BATCH_HEAD_BYTES);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch[16] = 2;
  batch.writeInt16BE(producer.transactional ? TRANSACTIONAL_BIT : 0, 21);
  batch.writeInt32BE(records.length - 1, 23);
  writeTimestamp(batch, base, 27);
  writeTimestamp(batch, latest, 35);
  writeInt64(batch, producer.producerId, 43);
  batch.writeInt16BE(producer.producerEpoch, 51);
  batch.writeInt32BE(producer.sequence, 53);
  batch.writeInt32BE(records.length, 57);
  batch.writeUInt32BE(crc32c(batch, CRC_FROM), CRC_OFFSET);
  return batch;
}

/**
 * Either bytes, or a string in which each character is one byte, so that it can be written without being turned into
 * bytes first.
 */
type Part = string | Uint8Array | null;

const OUTPUT_BYTES_MIN = 64 * 1024;

/** The bytes of the batches of one append. It can be used for another append once those bytes are no longer needed. */
export class BatchOutput {
  #buffer = Buffer.allocUnsafe(OUTPUT_BYTES_MIN);
  #from = 0;
  #at = 0;

  clear(): void {
    this.#at = 0;
  }

  begin(headerBytes: number): void {
    this.#reserve(headerBytes);
    this.#from = this.#at;
    this.#at += headerBytes;
  }

  end(): Buffer {
    return this.#buffer.subarray(this.#from, this.#at);
  }

  /**
   * Writes the record as if every string were ASCII. If one turns out not to be, the record is written again as bytes.
   */
  record({ key, value, headers }: NewRecord, offsetDelta: number, timestampDelta_ms: Timestamp): void {
    const short = shortHeaders(headers);
    const at = this.#at;
    if (short !== undefined && this.#record(key, value, short, offsetDelta, timestampDelta_ms)) return;
    this.#at = at;
    this.#record(toBytes(key), toBytes(value), longHeaders(headers), offsetDelta, timestampDelta_ms);
  }

  #record(key: Part, value: Part, headers: Part, offsetDelta: number, timestampDelta_ms: Timestamp): boolean {
    const length =
      1 + deltaBytes(timestampDelta_ms) + varintBytes(offsetDelta) + partBytes(key) + partBytes(value) + (headers?.length ?? 0);
    // Room for three times the length keeps a string that is not ASCII from being cut to the length it should have.
    this.#reserve(varintBytes(length) + length * 3);
    this.#varint(length);
    this.#buffer[this.#at++] = 0;
    if (typeof timestampDelta_ms === "number") this.#varint(timestampDelta_ms);
    else this.#bigVarint(timestampDelta_ms);
    this.#varint(offsetDelta);
    return this.#part(key) && this.#part(value) && this.#write(headers);
  }

  #part(part: Part): boolean {
    this.#varint(part?.length ?? -1);
    return this.#write(part);
  }

  /** False for a string that has more bytes than characters. */
  #write(part: Part): boolean {
    if (part === null) return true;
    const at = this.#at;
    this.#at += part.length;
    if (typeof part === "string") return this.#buffer.write(part, at, "utf8") === part.length;
    this.#buffer.set(part, at);
    return true;
  }

  #varint(n: number): void {
    let rest = zigzag(n);
    while (rest >= 0x80) {
      this.#buffer[this.#at++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#at++] = rest;
  }

  #bigVarint(n: bigint): void {
    let rest = bigZigzag(n);
    for (; rest >= 0x80n; rest >>= 7n) this.#buffer[this.#at++] = Number(rest & 0x7fn) | 0x80;
    this.#buffer[this.#at++] = Number(rest);
  }

  /** Batches that were written before stay valid: they keep the smaller buffer. */
  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

const toBytes = (text: string | Uint8Array | null): Uint8Array | null => (typeof text === "string" ? Buffer.from(text) : text);

const partBytes = (part: Part): number => (part === null ? 1 : varintBytes(part.length) + part.length);

/** The longest length that takes one byte as a zigzag varint, and the byte of each length up to it. */
const SHORT_MAX = 63;
const SHORT_LENGTHS = Array.from({ length: SHORT_MAX + 1 }, (_, n) => String.fromCharCode(zigzag(n)));

/**
 * All headers with their lengths as one string, which is written at once: to write fourteen strings one by one took 8
 * % of a cart's time per create. Undefined if there are more than SHORT_MAX headers, or one is longer than that or is
 * not a string.
 */
function shortHeaders(headers: readonly NewHeader[]): string | undefined {
  let block = SHORT_LENGTHS[headers.length];
  if (block === undefined) return undefined;
  for (const [name, value] of headers) {
    if (typeof value !== "string" || name.length > SHORT_MAX || value.length > SHORT_MAX) return undefined;
    block += `${SHORT_LENGTHS[name.length]}${name}${SHORT_LENGTHS[value.length]}${value}`;
  }
  return block;
}

function longHeaders(headers: readonly NewHeader[]): Uint8Array {
  const chunks = [varint(headers.length)];
  for (const [name, value] of headers) {
    for (const part of [encodeName(name), toBytes(value)]) {
      chunks.push(varint(part === null ? -1 : part.length));
      if (part !== null) chunks.push(part);
    }
  }
  return Buffer.concat(chunks);
}

/** Exact up to 2^52. */
function zigzag(n: number): number {
  return n >= 0 ? n * 2 : -n * 2 - 1;
}

function varintBytes(n: number): number {
  let bytes = 1;
  for (let rest = zigzag(n); rest >= 0x80; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

function varint(n: number): Uint8Array {
  const bytes: number[] = [];
  let rest = zigzag(n);
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.from([...bytes, rest]);
}

/** The distance of two timestamps. As in Java, it wraps at 64 bits if they lie too far apart. */
function deltaOf(timestamp: Timestamp, base: Timestamp): Timestamp {
  if (typeof timestamp === "number" && typeof base === "number") {
    const delta = timestamp - base;
    if (delta <= ZIGZAG_MAX && delta >= -ZIGZAG_MAX) return delta;
  }
  return BigInt.asIntN(64, BigInt(timestamp) - BigInt(base));
}

/** Zigzag numbers are exact up to here. */
const ZIGZAG_MAX = 2 ** 51;

const bigZigzag = (n: bigint): bigint => BigInt.asUintN(64, n >= 0n ? n * 2n : -n * 2n - 1n);

function deltaBytes(delta: Timestamp): number {
  if (typeof delta === "number") return varintBytes(delta);
  let bytes = 1;
  for (let rest = bigZigzag(delta); rest >= 0x80n; rest >>= 7n) bytes++;
  return bytes;
}

function writeTimestamp(buffer: Buffer, timestamp: Timestamp, at: number): void {
  if (typeof timestamp === "number") writeInt64(buffer, timestamp, at);
  else buffer.writeBigInt64BE(timestamp, at);
}

function writeInt64(buffer: Buffer, n: number, at: number): void {
  const high = Math.floor(n / 4294967296);
  buffer.writeInt32BE(high, at);
  buffer.writeUInt32BE(n - high * 4294967296, at + 4);
}
