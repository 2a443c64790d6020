import type { Header, LogRecord } from "../log.ts";
import { decompress } from "./compression.ts";

/**
 * Kafka's record batch, version 2 (KIP-98, https://kafka.apache.org/documentation/#recordbatch), decoded as views on the
 * response's bytes: no copy, headers only when asked for. kafkajs' own decoder reads varints through a Long class and every
 * header into objects; src/decisions/0001-below-the-kafkajs-consumer.md has the figures.
 */
const BATCH_HEADER_BYTES = 61;
const BATCH_LENGTH_OFFSET = 8;
const LOG_OVERHEAD_BYTES = 12;
const MAGIC_OFFSET = 16;
const MAGIC_V2 = 2;

const COMPRESSION_MASK = 0x07;
const LOG_APPEND_TIME_BIT = 0x08;
const TRANSACTIONAL_BIT = 0x10;
const CONTROL_BIT = 0x20;
const CONTROL_TYPE_ABORT = 0;

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

export interface DecodedBatches {
  readonly records: LogRecord[];
  readonly nextOffset: number;
}

/**
 * Decodes the whole batches in `bytes` (a cut one at the end is left for the next fetch), leaving out records before
 * `fromOffset`, control records, and those of transactions in `aborted` (in ascending `firstOffset`).
 * Throws a plain Error when the bytes are no batches of version 2.
 */
export function decodeBatches(bytes: Buffer, fromOffset: number, aborted: readonly AbortedTransaction[]): DecodedBatches {
  const records: LogRecord[] = [];
  const abortedProducers = new Set<number>();
  let abortedSeen = 0;
  let nextOffset = fromOffset;
  let at = 0;
  while (at + BATCH_HEADER_BYTES <= bytes.length) {
    const end = at + LOG_OVERHEAD_BYTES + bytes.readInt32BE(at + BATCH_LENGTH_OFFSET);
    if (end > bytes.length) break;
    const magic = bytes[at + MAGIC_OFFSET];
    if (magic !== MAGIC_V2) throw new Error(`a record batch has format ${magic}; only format 2 (Kafka 0.11 and later) is read`);
    const baseOffset = readInt64(bytes, at);
    const attributes = bytes.readInt16BE(at + 21);
    const lastOffset = baseOffset + bytes.readInt32BE(at + 23);
    const producerId = readInt64(bytes, at + 43);

    for (let next = aborted[abortedSeen]; next && next.firstOffset <= lastOffset; next = aborted[++abortedSeen]) {
      abortedProducers.add(next.producerId);
    }
    if (attributes & CONTROL_BIT) {
      if (controlType(bytes.subarray(at + BATCH_HEADER_BYTES, end)) === CONTROL_TYPE_ABORT) abortedProducers.delete(producerId);
    } else if (!(attributes & TRANSACTIONAL_BIT && abortedProducers.has(producerId))) {
      const codec = attributes & COMPRESSION_MASK;
      const packed = bytes.subarray(at + BATCH_HEADER_BYTES, end);
      decodeRecords(codec === 0 ? packed : decompress(codec, packed), {
        baseOffset,
        baseTimestamp_ms: readInt64(bytes, at + 27),
        appendTimestamp_ms: attributes & LOG_APPEND_TIME_BIT ? readInt64(bytes, at + 35) : undefined,
        count: bytes.readInt32BE(at + 57),
        fromOffset,
        into: records,
      });
    }
    nextOffset = Math.max(nextOffset, lastOffset + 1);
    at = end;
  }
  return { records, nextOffset };
}

interface RecordsContext {
  readonly baseOffset: number;
  readonly baseTimestamp_ms: number;
  readonly appendTimestamp_ms: number | undefined;
  readonly count: number;
  readonly fromOffset: number;
  readonly into: LogRecord[];
}

function decodeRecords(bytes: Buffer, context: RecordsContext): void {
  const cursor = new Cursor(bytes);
  for (let i = 0; i < context.count; i++) {
    const end = cursor.varint() + cursor.at;
    cursor.at += 1;
    const timestampDelta_ms = cursor.varint();
    const offset = context.baseOffset + cursor.varint();
    const key = cursor.bytes();
    const value = cursor.bytes();
    if (end > bytes.length || cursor.at > end) throw new Error("a record is longer than its batch");
    if (offset >= context.fromOffset) {
      context.into.push(
        new KafkaRecord(
          offset,
          context.appendTimestamp_ms ?? context.baseTimestamp_ms + timestampDelta_ms,
          key,
          value,
          bytes,
          cursor.at,
        ),
      );
    }
    cursor.at = end;
  }
}

class KafkaRecord implements LogRecord {
  constructor(
    readonly offset: number,
    readonly timestamp_ms: number,
    readonly key: Buffer | null,
    readonly value: Buffer | null,
    private readonly batch: Buffer,
    private readonly headersAt: number,
  ) {}

  headers(): readonly Header[] {
    const cursor = new Cursor(this.batch);
    cursor.at = this.headersAt;
    const count = cursor.varint();
    const headers: Header[] = [];
    for (let i = 0; i < count; i++) headers.push([cursor.bytes()?.toString() ?? "", cursor.bytes()]);
    return headers;
  }
}

class Cursor {
  at = 0;
  constructor(private readonly buffer: Buffer) {}

  /** A zigzag varint of up to 64 bits, exact up to 2^53. */
  varint(): number {
    const { buffer } = this;
    let byte = buffer[this.at++];
    if (byte === undefined) throw new Error("a record is cut short");
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
    let value = byte & 0x7f;
    for (let scale = 128, read = 1; byte >= 0x80; scale *= 128, read++) {
      byte = buffer[this.at++];
      if (byte === undefined || read > 9) throw new Error("a record is cut short");
      value += (byte & 0x7f) * scale;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  bytes(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const from = this.at;
    this.at = from + length;
    if (this.at > this.buffer.length) throw new Error("a record is cut short");
    return this.buffer.subarray(from, this.at);
  }
}

/** The type in a control batch's one record: 0 abort, 1 commit. */
function controlType(bytes: Buffer): number {
  const cursor = new Cursor(bytes);
  cursor.varint();
  cursor.at += 1;
  cursor.varint();
  cursor.varint();
  return cursor.bytes()?.readInt16BE(2) ?? -1;
}

/** An int64 that must fit a JavaScript number exactly, as offsets, producer ids and timestamps do. */
export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4294967296 + bytes.readUInt32BE(at + 4);
}
