import type { NewRecord } from "../../log/port.ts";
import { DEAD_LETTER_EXTRA_HEADERS, DEAD_LETTER_HEADERS } from "../../log/record-headers.ts";
import { encodedBytes, IN_BATCH_EXTRA_BYTES } from "../../log/append/record-size.ts";
import type { DeadLetter } from "../actor/actor-environment.ts";

/** Room for the header that says what was cut. */
const CUT_HEADER_BYTES_MAX = 200;
const DETAIL_CHARS_MAX = 1_000;

interface Origin {
  readonly topic: string;
  readonly partition: number;
  /** The partition of the dead-letter topic that the letter goes to. */
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

/** An upper bound on the bytes that the letter takes in a batch, uncompressed. */
export function letterBytes(letter: NewRecord): number {
  // The names of a foreign record's headers may have any characters.
  const names = letter.headers.reduce((bytes, [name]) => bytes + Buffer.byteLength(name) - name.length, 0);
  return encodedBytes(letter) + IN_BATCH_EXTRA_BYTES + names;
}

/**
 * Cuts the letter to fit into `bytes_max`: first its value, then its key, then the headers that are not the letter's
 * own.
 */
export function fittingLetter(letter: NewRecord, bytes_max: number): NewRecord {
  let excess = letterBytes(letter) - bytes_max;
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
    // The letter's own headers come last, and the record may have brought others of the same names.
    headers = headers.slice(headers.findLastIndex(([name]) => name === DEAD_LETTER_HEADERS.reason));
    if (headers.length < letter.headers.length) cut.push(`headers=${letter.headers.length - headers.length}`);
  }
  return { ...letter, key, value, headers: [...headers, [DEAD_LETTER_EXTRA_HEADERS.cut, cut.join(";")]] };
}

const bytesOf = (part: string | Uint8Array | null): number => (part === null ? 0 : Buffer.byteLength(part));
