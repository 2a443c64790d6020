import { BATCH_HEAD_BYTES } from "../../append/record-size.ts";
import type { Timestamp } from "../../port.ts";
import { timestampOf } from "../../timestamp.ts";
import { readInt64 } from "../protocol/wire.ts";

/**
 * The head of Kafka's record batch, version 2 (KIP-98, https://kafka.apache.org/documentation/#recordbatch): where its
 * fields stand.
 */
const LENGTH_AT = 8;
const LEADER_EPOCH_AT = 12;
const MAGIC_AT = 16;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const BASE_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const PRODUCER_ID_AT = 43;
const COUNT_AT = 57;

/** The bytes that the length does not count. */
const LOG_OVERHEAD_BYTES = 12;
const MAGIC_V2 = 2;
/** A message of an older format has at least its offset, size, checksum, magic and attributes. */
export const OLD_MESSAGE_BYTES_MIN = 18;

const COMPRESSION_MASK = 0x07;
const LOG_APPEND_TIME_BIT = 0x08;
const TRANSACTIONAL_BIT = 0x10;
const CONTROL_BIT = 0x20;

export interface BatchHead {
  /** Where the batch stands in `bytes`, and where it ends. */
  readonly bytes: Buffer;
  readonly at: number;
  readonly end: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly isControl: boolean;
  /** Whether it has the format that is read. An older one tells its offset, and nothing else is known of it. */
  readonly isReadable: boolean;
}

/** Where the batch ends that begins at `at`. There must be OLD_MESSAGE_BYTES_MIN bytes. */
export const batchEnd = (bytes: Buffer, at: number): number => at + LOG_OVERHEAD_BYTES + bytes.readInt32BE(at + LENGTH_AT);

/** Throws a plain Error if the batch does not tell its offsets. */
export function batchHead(bytes: Buffer, at: number, end: number): BatchHead {
  const baseOffset = readInt64(bytes, at);
  const magic = magicOf(bytes, at);
  const isOffset = baseOffset >= 0 && baseOffset < Number.MAX_SAFE_INTEGER;
  // For a compressed set of messages of an older format, the offset is the last one's.
  if (magic < MAGIC_V2 && end - at >= OLD_MESSAGE_BYTES_MIN && isOffset)
    return { bytes, at, end, baseOffset, lastOffset: baseOffset, isControl: false, isReadable: false };
  if (magic !== MAGIC_V2) throw new Error(`a record batch has format ${magic}; only format 2 (Kafka 0.11 and later) is read`);
  if (end - at < BATCH_HEAD_BYTES) throw new Error("a record batch is shorter than its header");
  const lastOffset = baseOffset + bytes.readInt32BE(at + LAST_OFFSET_DELTA_AT);
  if (!isOffset || lastOffset < baseOffset || lastOffset >= Number.MAX_SAFE_INTEGER)
    throw new Error(`a record batch claims the offsets ${baseOffset} to ${lastOffset}`);
  const isControl = (attributesOf(bytes, at) & CONTROL_BIT) !== 0;
  return { bytes, at, end, baseOffset, lastOffset, isControl, isReadable: true };
}

// What follows is read from a batch of the format that is read, at `at`.

export const magicOf = (bytes: Buffer, at: number): number => bytes[at + MAGIC_AT] as number;
export const countOf = (bytes: Buffer, at: number): number => bytes.readInt32BE(at + COUNT_AT);
export const codecOf = (bytes: Buffer, at: number): number => attributesOf(bytes, at) & COMPRESSION_MASK;
export const isTransactional = (bytes: Buffer, at: number): boolean => (attributesOf(bytes, at) & TRANSACTIONAL_BIT) !== 0;
export const producerIdOf = (bytes: Buffer, at: number): number => readInt64(bytes, at + PRODUCER_ID_AT);
export const leaderEpochOf = (bytes: Buffer, at: number): number => bytes.readInt32BE(at + LEADER_EPOCH_AT);
export const baseTimestampOf = (bytes: Buffer, at: number): Timestamp => timestampAt(bytes, at + BASE_TIMESTAMP_AT);

/** The timestamp that the log gave all records of the batch; undefined if each has its producer's. */
export const appendTimestampOf = (bytes: Buffer, at: number): Timestamp | undefined =>
  attributesOf(bytes, at) & LOG_APPEND_TIME_BIT ? timestampAt(bytes, at + MAX_TIMESTAMP_AT) : undefined;

const attributesOf = (bytes: Buffer, at: number): number => bytes.readInt16BE(at + ATTRIBUTES_AT);

const SAFE_HIGH_MAX = 2 ** 21;

function timestampAt(bytes: Buffer, at: number): Timestamp {
  const high = bytes.readInt32BE(at);
  if (high < SAFE_HIGH_MAX && high >= -SAFE_HIGH_MAX + 1) return high * 4294967296 + bytes.readUInt32BE(at + 4);
  return timestampOf(bytes.readBigInt64BE(at));
}
