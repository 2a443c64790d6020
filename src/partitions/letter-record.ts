import type { NewHeader, NewRecord } from "../log/log.ts";
import { DEAD_LETTER_EXTRA_HEADERS, DEAD_LETTER_HEADERS } from "../log/operation-headers.ts";
import type { DeadLetter } from "./actor-environment.ts";

/** The reason of a letter that stands for a batch which cannot be decoded. */
export const UNDECODABLE_BATCH = "undecodable_batch";

/** What a record batch has before its first record (https://kafka.apache.org/documentation/#recordbatch). */
export const BATCH_HEAD_BYTES = 61;
/** At most, of a record beside key, value and headers: six varints of which the timestamp's may be the longest, and its attributes. */
const RECORD_HEAD_BYTES_MAX = 40;
/** At most, of a header beside its name and value: two varints. */
const HEADER_HEAD_BYTES_MAX = 10;
/** For the header that says what was cut. */
const CUT_HEADER_BYTES_MAX = 200;
const DETAIL_CHARS_MAX = 1_000;

interface Origin {
  readonly topic: string;
  readonly partition: number;
  /** The partition of the dead-letter topic. */
  readonly target: number;
  readonly wall_ms: number;
}

export function letterRecord({ record, code, detail }: DeadLetter, { topic, partition, target, wall_ms }: Origin): NewRecord {
  const { key, value, undecodable } = record;
  return {
    partition: target,
    key,
    value,
    timestamp_ms: wall_ms,
    headers: [
      ...record.headers(),
      [DEAD_LETTER_HEADERS.reason, code],
      [DEAD_LETTER_HEADERS.detail, detail.slice(0, DETAIL_CHARS_MAX)],
      [DEAD_LETTER_HEADERS.topic, topic],
      [DEAD_LETTER_HEADERS.partition, String(partition)],
      [DEAD_LETTER_HEADERS.offset, String(record.offset)],
      ...(undecodable ? [[DEAD_LETTER_EXTRA_HEADERS.lastOffset, String(undecodable.lastOffset)] as const] : []),
    ],
  };
}

/** At least as many bytes as the record takes in a batch, uncompressed. */
export function encodedBytes({ key, value, headers }: NewRecord): number {
  let bytes = RECORD_HEAD_BYTES_MAX + bytesOf(key) + bytesOf(value);
  for (const header of headers) bytes += headerBytes(header);
  return bytes;
}

/** The letter, made to fit into so many bytes: its value is cut first, then its key, then headers that are not the letter's own. */
export function fittingLetter(letter: NewRecord, bytes_max: number): NewRecord {
  let excess = encodedBytes(letter) - bytes_max;
  if (excess <= 0) return letter;
  excess += CUT_HEADER_BYTES_MAX;
  const cut: string[] = [];
  const shortened = (name: string, bytes: NewRecord["value"]) => {
    const length = bytesOf(bytes);
    if (bytes === null || length === 0 || excess <= 0) return bytes;
    const kept = Math.max(0, length - excess);
    excess -= length - kept;
    cut.push(`${name}=${length}`);
    return Buffer.from(bytes as Uint8Array).subarray(0, kept);
  };
  const value = shortened("value", letter.value);
  const key = shortened("key", letter.key);
  let { headers } = letter;
  if (excess > 0) {
    // The letter's own come last; a record may have brought others of the same names.
    headers = headers.slice(headers.findLastIndex(([name]) => name === DEAD_LETTER_HEADERS.reason));
    if (headers.length < letter.headers.length) cut.push(`headers=${letter.headers.length - headers.length}`);
  }
  return { ...letter, key, value, headers: [...headers, [DEAD_LETTER_EXTRA_HEADERS.cut, cut.join(";")]] };
}

const headerBytes = ([name, value]: NewHeader): number => HEADER_HEAD_BYTES_MAX + bytesOf(name) + bytesOf(value);

const bytesOf = (part: string | Uint8Array | null): number => (part === null ? 0 : Buffer.byteLength(part));
