import type { Header, LogRecord, NewRecord } from "../../log/port.ts";
import { DEAD_LETTER_EXTRA_HEADERS, DEAD_LETTER_HEADERS, UNDECODABLE_BATCH } from "../../log/record-headers.ts";

/**
 * At most this many letters of one partition are remembered. Beyond that, those that are needed last are forgotten,
 * and read back when they are needed.
 */
export const LETTERS_KNOWN_MAX = 100_000;
/**
 * At most this many letters that name the same record are remembered. No more than one of them is ours, and the others
 * are forged.
 */
const LETTERS_OF_A_RECORD_MAX = 8;

/** What a letter claims to be: which record it is for, and which of the record's bytes it has. */
export interface Claim {
  readonly offset: number;
  /** The last offset, if the record is a batch that cannot be decoded. */
  readonly lastOffset: number | undefined;
  readonly isCut: boolean;
  /** The length of the key; −1 for null. */
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** The digest of the key's and the value's bytes. */
  readonly digest: string;
}

type Bytes = Uint8Array | null;

/**
 * Returns undefined if the letter is not from this partition. Of equal headers the last one counts, as a redriven
 * letter may carry older ones.
 */
export function claimOf(letter: LogRecord, topic: string, partition: number): Claim | undefined {
  if (letter.undecodable) return undefined;
  const headers = new Map<string, Header[1]>(letter.headers());
  const text = (name: string) => Buffer.from(headers.get(name) ?? []).toString();
  if (text(DEAD_LETTER_HEADERS.topic) !== topic || text(DEAD_LETTER_HEADERS.partition) !== String(partition)) return undefined;
  const offset = toOffset(text(DEAD_LETTER_HEADERS.offset));
  if (offset === undefined) return undefined;
  const { key, value } = letter;
  // The record itself may have had this header.
  const isBatch = text(DEAD_LETTER_HEADERS.reason) === UNDECODABLE_BATCH;
  const lastOffset = isBatch ? toOffset(text(DEAD_LETTER_EXTRA_HEADERS.lastOffset)) : undefined;
  return { offset, lastOffset, isCut: headers.has(DEAD_LETTER_EXTRA_HEADERS.cut), ...shapeOf(key, value) };
}

/** The claim of a letter that is being written for the record. */
export function claimFor(record: LogRecord, { key, value, headers }: NewRecord): Claim {
  const isCut = headers.some(([name]) => name === DEAD_LETTER_EXTRA_HEADERS.cut);
  const { offset, undecodable } = record;
  return { offset, lastOffset: undecodable?.lastOffset, isCut, ...shapeOf(key as Bytes, value as Bytes) };
}

/** Whether the letter carries the record's bytes, or as many of them as a cut letter says. */
export function isOf(claim: Claim, record: LogRecord): boolean {
  if (claim.offset !== record.offset || claim.lastOffset !== record.undecodable?.lastOffset) return false;
  const key = keptPart(record.key, claim.keyBytes, claim.isCut);
  const value = keptPart(record.value, claim.valueBytes, claim.isCut);
  return key !== undefined && value !== undefined && shapeOf(key, value).digest === claim.digest;
}

const isSameClaim = (a: Claim, b: Claim): boolean =>
  a.digest === b.digest && a.isCut === b.isCut && a.lastOffset === b.lastOffset;

function keptPart(bytes: Bytes, kept: number, isCut: boolean): Bytes | undefined {
  if (bytes === null || kept < 0) return bytes === null && kept < 0 ? null : undefined;
  if (kept === bytes.length) return bytes;
  return isCut && kept < bytes.length ? bytes.subarray(0, kept) : undefined;
}

function shapeOf(key: Bytes, value: Bytes): Pick<Claim, "keyBytes" | "valueBytes" | "digest"> {
  const keyBytes = key?.length ?? -1;
  const valueBytes = value?.length ?? -1;
  const hash = new Bun.CryptoHasher("sha256").update(`${keyBytes} ${valueBytes} `);
  if (key) hash.update(key);
  if (value) hash.update(value);
  return { keyBytes, valueBytes, digest: hash.digest("base64").slice(0, 24) };
}

const toOffset = (text: string): number | undefined => (/^[0-9]{1,15}$/.test(text) ? Number(text) : undefined);

/**
 * The letters of one partition that are known to be in the topic. It knows all letters for the offsets that it covers.
 */
export class DeliveredLetters {
  readonly #claims = new Map<number, Claim[]>();
  #count = 0;
  #from = 0;
  /** This offset itself is not covered. */
  #to = 0;

  covers(offset: number): boolean {
    return this.#from <= offset && offset < this.#to;
  }

  has(record: LogRecord): boolean {
    return this.#claims.get(record.offset)?.some((claim) => isOf(claim, record)) ?? false;
  }

  /** Begins anew with the letters from this offset on, all of which must be noted. */
  begin(from: number): void {
    this.clear();
    this.#from = from;
    this.#to = Number.POSITIVE_INFINITY;
  }

  /** Forgets all letters; no offset is covered any more. */
  clear(): void {
    this.#claims.clear();
    this.#count = 0;
    this.#from = 0;
    this.#to = 0;
  }

  /** Notes a letter that was read back. */
  noteRead(claim: Claim): void {
    if (!this.covers(claim.offset) || !this.#add(claim) || this.#count <= LETTERS_KNOWN_MAX) return;
    const offsets = [...this.#claims.keys()].toSorted((a, b) => a - b);
    this.#to = offsets[Math.ceil(offsets.length / 2)] ?? this.#to;
    for (const offset of offsets) if (offset >= this.#to) this.#drop(offset);
  }

  /** Notes a letter that was appended. Letters are appended in the order of their offsets. */
  noteAppended(claim: Claim): void {
    if (!this.#add(claim) || this.#count <= LETTERS_KNOWN_MAX) return;
    const offsets = [...this.#claims.keys()].toSorted((a, b) => a - b);
    this.#from = offsets[Math.floor(offsets.length / 2)] ?? this.#from;
    for (const offset of offsets) if (offset < this.#from) this.#drop(offset);
  }

  #add(claim: Claim): boolean {
    const known = this.#claims.get(claim.offset);
    // A letter is read twice where the topic grew while its end was read.
    if (known && (known.length >= LETTERS_OF_A_RECORD_MAX || known.some((each) => isSameClaim(each, claim)))) return false;
    if (known) known.push(claim);
    else this.#claims.set(claim.offset, [claim]);
    this.#count++;
    return true;
  }

  #drop(offset: number): void {
    this.#count -= this.#claims.get(offset)?.length ?? 0;
    this.#claims.delete(offset);
  }
}
