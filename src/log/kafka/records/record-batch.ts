import { BATCH_HEAD_BYTES } from "../../append/record-size.ts";
import type { Header, LogRecord, Timestamp, UndecodableBatch } from "../../port.ts";
import { decodeName } from "../../header-names.ts";
import { decompress } from "./compression.ts";
import { timestampOf } from "../../timestamp.ts";
import { readInt64 } from "../protocol/wire.ts";

/**
 * Kafka's record batch, version 2 (KIP-98, https://kafka.apache.org/documentation/#recordbatch), decoded as views on
 * the response's bytes: nothing is copied, and headers are decoded only when asked for. kafkajs' own decoder reads
 * varints through a Long class and turns every header into an object;
 * docs/decisions/0001-below-the-kafkajs-consumer.md has the figures.
 */
const BATCH_LENGTH_OFFSET = 8;
const LOG_OVERHEAD_BYTES = 12;
const LEADER_EPOCH_OFFSET = 12;
const MAGIC_OFFSET = 16;
const MAGIC_V2 = 2;
/** A message of an older format has at least its offset, size, checksum, magic and attributes. */
const OLD_MESSAGE_BYTES_MIN = 18;

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
  /** The offset to read on from; `fromOffset` if there was not one whole batch. */
  readonly nextOffset: number;
}

/**
 * How much an answer may still unpack to, over all its partitions. A batch is begun while any of it is left, so each
 * answer brings at least one.
 */
export interface UnpackBudget {
  left_bytes: number;
}

/**
 * Decodes the whole batches in `bytes`; a batch that is cut off at the end is left for the next fetch. Records before
 * `fromOffset`, control records and the records of transactions in `aborted` (in ascending `firstOffset`) are left
 * out. A batch that cannot be decoded gives one record, which says so for all its offsets.
 *
 * Throws a plain Error if it cannot even be told which offsets a batch has.
 */
export function decodeBatches(
  bytes: Buffer,
  fromOffset: number,
  aborted: readonly AbortedTransaction[],
  budget: UnpackBudget = { left_bytes: Number.POSITIVE_INFINITY },
): DecodedBatches {
  const records: LogRecord[] = [];
  const abortedProducers = new Set<number>();
  let abortedSeen = 0;
  let nextOffset = fromOffset;
  let at = 0;
  while (at + OLD_MESSAGE_BYTES_MIN <= bytes.length && budget.left_bytes > 0) {
    const end = at + LOG_OVERHEAD_BYTES + bytes.readInt32BE(at + BATCH_LENGTH_OFFSET);
    if (end > bytes.length) break;
    const batch = batchAt(bytes, at, end);
    const { lastOffset, attributes, producerId } = batch;
    // Offsets that were read before are not taken again.
    const firstOffset = Math.max(batch.baseOffset, nextOffset);
    at = end;
    if (lastOffset < firstOffset) continue;

    for (let next = aborted[abortedSeen]; next && next.firstOffset <= lastOffset; next = aborted[++abortedSeen]) {
      abortedProducers.add(next.producerId);
    }
    const kept = records.length;
    try {
      if (attributes & CONTROL_BIT) {
        if (controlType(batch.body) === CONTROL_TYPE_ABORT) abortedProducers.delete(producerId);
      } else if (!(attributes & TRANSACTIONAL_BIT && abortedProducers.has(producerId))) {
        decodeRecords(batch, firstOffset, budget, records);
      }
    } catch (e) {
      records.length = kept;
      const reason = `The record batch at offset ${batch.baseOffset} cannot be decoded: ${e instanceof Error ? e.message : String(e)}.`;
      records.push(new BrokenBatch(firstOffset, batch, { lastOffset, reason }));
    }
    nextOffset = lastOffset + 1;
  }
  return { records, nextOffset };
}

interface RawBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly leaderEpoch: number;
  readonly attributes: number;
  readonly producerId: number;
  readonly baseTimestamp: Timestamp;
  readonly maxTimestamp: Timestamp;
  readonly count: number;
  /** Undefined if the batch has an older format. */
  readonly body: Buffer | undefined;
  readonly magic: number;
}

/** Throws a plain Error if the batch does not tell its offsets. */
function batchAt(bytes: Buffer, at: number, end: number): RawBatch {
  const baseOffset = readInt64(bytes, at);
  const magic = bytes[at + MAGIC_OFFSET] as number;
  const isOffset = baseOffset >= 0 && baseOffset < Number.MAX_SAFE_INTEGER;
  if (magic < MAGIC_V2 && end - at >= OLD_MESSAGE_BYTES_MIN && isOffset) {
    // For a compressed set of messages, this is the last one's offset.
    const old = { leaderEpoch: 0, attributes: 0, producerId: -1, baseTimestamp: 0, maxTimestamp: 0, count: 0, body: undefined };
    return { ...old, baseOffset, lastOffset: baseOffset, magic };
  }
  if (magic !== MAGIC_V2) throw new Error(`a record batch has format ${magic}; only format 2 (Kafka 0.11 and later) is read`);
  if (end - at < BATCH_HEAD_BYTES) throw new Error("a record batch is shorter than its header");
  const lastOffset = baseOffset + bytes.readInt32BE(at + 23);
  if (!isOffset || lastOffset < baseOffset || lastOffset >= Number.MAX_SAFE_INTEGER)
    throw new Error(`a record batch claims the offsets ${baseOffset} to ${lastOffset}`);
  return {
    baseOffset,
    lastOffset,
    leaderEpoch: bytes.readInt32BE(at + LEADER_EPOCH_OFFSET),
    attributes: bytes.readInt16BE(at + 21),
    producerId: readInt64(bytes, at + 43),
    baseTimestamp: readTimestamp(bytes, at + 27),
    maxTimestamp: readTimestamp(bytes, at + 35),
    count: bytes.readInt32BE(at + 57),
    body: bytes.subarray(at + BATCH_HEAD_BYTES, end),
    magic,
  };
}

function decodeRecords(batch: RawBatch, firstOffset: number, budget: UnpackBudget, into: LogRecord[]): void {
  const { body, baseOffset, lastOffset, count, attributes, leaderEpoch, baseTimestamp } = batch;
  if (body === undefined) throw new Error(`it has format ${batch.magic}, and only format 2 (Kafka 0.11 and later) is read`);
  const codec = attributes & COMPRESSION_MASK;
  const bytes = codec === 0 ? body : unpack(codec, body, budget);
  const appendTimestamp = attributes & LOG_APPEND_TIME_BIT ? batch.maxTimestamp : undefined;
  // With a timestamp further out, every sum is calculated in bigints.
  const base = typeof baseTimestamp === "number" && Math.abs(baseTimestamp) < SMALL_BASE_MAX ? baseTimestamp : undefined;
  const cursor = new Cursor(bytes);
  let before = baseOffset - 1;
  for (let i = 0; i < count; i++) {
    const end = cursor.varint() + cursor.at;
    const timestampAt = ++cursor.at;
    const delta_ms = cursor.varint();
    const isSmall = base !== undefined && cursor.at - timestampAt <= SMALL_VARINT_BYTES_MAX;
    const offset = baseOffset + cursor.varint();
    const key = cursor.bytes();
    const value = cursor.bytes();
    const headersAt = cursor.at;
    if (bytes[headersAt] === 0) cursor.at++;
    else cursor.skipHeaders();
    if (cursor.at !== end) throw new Error("a record does not end where it says");
    if (offset <= before || offset > lastOffset) throw new Error("its records do not have ascending offsets within its own");
    before = offset;
    if (offset < firstOffset) continue;
    const timestamp = appendTimestamp ?? (isSmall ? base + delta_ms : addWrapping(baseTimestamp, cursor.bigVarint(timestampAt)));
    into.push(new KafkaRecord(offset, timestamp, key, value, leaderEpoch, bytes, headersAt));
  }
  if (count < 0 || cursor.at !== bytes.length) throw new Error("it has other records than it says");
}

function unpack(codec: number, body: Buffer, budget: UnpackBudget): Buffer {
  const bytes = decompress(codec, body);
  budget.left_bytes -= bytes.length;
  return bytes;
}

/** A varint of up to seven bytes is exact as a number, and so is its sum with a base below SMALL_BASE_MAX. */
const SMALL_VARINT_BYTES_MAX = 7;
const SMALL_BASE_MAX = 2 ** 52;

/** Wraps at 64 bits, as addition in Java does. */
const addWrapping = (base: Timestamp, delta: bigint): Timestamp => timestampOf(BigInt.asIntN(64, BigInt(base) + delta));

const SAFE_HIGH_MAX = 2 ** 21;

function readTimestamp(bytes: Buffer, at: number): Timestamp {
  const high = bytes.readInt32BE(at);
  if (high < SAFE_HIGH_MAX && high >= -SAFE_HIGH_MAX + 1) return high * 4294967296 + bytes.readUInt32BE(at + 4);
  return timestampOf(bytes.readBigInt64BE(at));
}

class KafkaRecord implements LogRecord {
  constructor(
    readonly offset: number,
    readonly timestamp_ms: Timestamp,
    readonly key: Buffer | null,
    readonly value: Buffer | null,
    readonly leaderEpoch: number,
    private readonly batch: Buffer,
    private readonly headersAt: number,
  ) {}

  headers(): readonly Header[] {
    const cursor = new Cursor(this.batch);
    cursor.at = this.headersAt;
    const count = cursor.varint();
    const headers: Header[] = [];
    for (let i = 0; i < count; i++) {
      const name = cursor.bytes();
      headers.push([name === null ? "" : decodeName(name), cursor.bytes()]);
    }
    return headers;
  }
}

class BrokenBatch implements LogRecord {
  readonly key = null;
  readonly value = null;
  readonly timestamp_ms: Timestamp;
  readonly leaderEpoch: number;

  constructor(
    readonly offset: number,
    { baseTimestamp, leaderEpoch }: RawBatch,
    readonly undecodable: UndecodableBatch,
  ) {
    this.timestamp_ms = baseTimestamp;
    this.leaderEpoch = leaderEpoch;
  }

  headers(): readonly Header[] {
    return [];
  }
}

const cutShort = (): Error => new Error("a record is cut short");

class Cursor {
  at = 0;
  constructor(private readonly buffer: Buffer) {}

  /** Reads a zigzag varint of up to 64 bits, exact up to 2^53. */
  varint(): number {
    const { buffer } = this;
    let byte = buffer[this.at++];
    if (byte === undefined) throw cutShort();
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
    let value = byte & 0x7f;
    for (let scale = 128, read = 1; byte >= 0x80; scale *= 128, read++) {
      byte = buffer[this.at++];
      if (byte === undefined || read > 9) throw cutShort();
      value += (byte & 0x7f) * scale;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Reads the zigzag varint at this place, exactly; the cursor stays where it is. */
  bigVarint(at: number): bigint {
    let value = 0n;
    for (let shift = 0n, i = at; ; shift += 7n, i++) {
      const byte = this.buffer[i] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    value = BigInt.asUintN(64, value);
    return (value >> 1n) ^ -(value & 1n);
  }

  bytes(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const from = this.at;
    this.at = from + length;
    if (this.at > this.buffer.length) throw cutShort();
    return this.buffer.subarray(from, this.at);
  }

  /** Checks that the headers can be read when they are asked for later. A null name counts as no name. */
  skipHeaders(): void {
    const { buffer } = this;
    const count = this.varint();
    if (count < 0) throw new Error("a record has fewer headers than none");
    for (let parts = count * 2; parts > 0; parts--) {
      const byte = buffer[this.at];
      if (byte !== undefined && byte < 0x80 && (byte & 1) === 0) {
        this.at += 1 + (byte >>> 1);
      } else {
        const length = this.varint();
        if (length > 0) this.at += length;
      }
      if (this.at > buffer.length) throw cutShort();
    }
  }
}

/** The type in the only record of a control batch: 0 is abort, 1 is commit. */
function controlType(bytes: Buffer | undefined): number {
  const cursor = new Cursor(bytes ?? Buffer.alloc(0));
  cursor.varint();
  cursor.at += 1;
  cursor.varint();
  cursor.varint();
  return cursor.bytes()?.readInt16BE(2) ?? -1;
}
