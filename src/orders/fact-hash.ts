import { writeDigits } from "./decimal-digits.ts";
import { ORDER_ID_PREFIX } from "./order-id.ts";
import { digitsOfKey, KEY_DIGITS_MAX, leftAlignedOf } from "./order-key.ts";

const NEWLINE = 10;

/**
 * Hashes `a`, a newline and `b` by UTF-16 code units: cyrb53 (by bryc, public domain) without its highest bit. It is
 * in JavaScript because joining the strings for a native hash made a fold 23 % slower; this makes it 5 % slower.
 */
export function hashTexts(kind: number, a: string, b: string): number {
  let h1 = SEED1 ^ kind;
  let h2 = SEED2 ^ kind;
  for (let i = 0; i < a.length; i++) {
    const c = a.charCodeAt(i);
    h1 = Math.imul(h1 ^ c, FACTOR1);
    h2 = Math.imul(h2 ^ c, FACTOR2);
  }
  h1 = Math.imul(h1 ^ NEWLINE, FACTOR1);
  h2 = Math.imul(h2 ^ NEWLINE, FACTOR2);
  for (let i = 0; i < b.length; i++) {
    const c = b.charCodeAt(i);
    h1 = Math.imul(h1 ^ c, FACTOR1);
    h2 = Math.imul(h2 ^ c, FACTOR2);
  }
  return mixed(h1, h2);
}

const SEED1 = 0xdeadbeef;
const SEED2 = 0x41c6ce57;
const FACTOR1 = 0x9e3779b1;
const FACTOR2 = 0x5f356495;

function mixed(h1: number, h2: number): number {
  const m1 = Math.imul(h1 ^ (h1 >>> 16), 0x85ebca6b) ^ Math.imul(h2 ^ (h2 >>> 13), 0xc2b2ae35);
  const m2 = Math.imul(h2 ^ (h2 >>> 16), 0x85ebca6b) ^ Math.imul(m1 ^ (m1 >>> 13), 0xc2b2ae35);
  return (m2 & 0xfffff) * 2 ** 32 + (m1 >>> 0);
}

/**
 * The same hash over parts that are ASCII in bytes. One object hashes one fact after the other: `begin`, then parts,
 * then `value`.
 */
export class FactHash {
  #h1 = 0;
  #h2 = 0;

  /** Begins anew with what another has hashed so far. */
  begin({ h1, h2 }: HashState): void {
    this.#h1 = h1;
    this.#h2 = h2;
  }

  beginKind(kind: number): void {
    this.#h1 = SEED1 ^ kind;
    this.#h2 = SEED2 ^ kind;
  }

  addText(text: string): void {
    let h1 = this.#h1;
    let h2 = this.#h2;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      h1 = Math.imul(h1 ^ c, FACTOR1);
      h2 = Math.imul(h2 ^ c, FACTOR2);
    }
    this.#h1 = h1;
    this.#h2 = h2;
  }

  add(bytes: Uint8Array, from: number, to: number): void {
    let h1 = this.#h1;
    let h2 = this.#h2;
    for (let i = from; i < to; i++) {
      const c = bytes[i] as number;
      h1 = Math.imul(h1 ^ c, FACTOR1);
      h2 = Math.imul(h2 ^ c, FACTOR2);
    }
    this.#h1 = h1;
    this.#h2 = h2;
  }

  addByte(c: number): void {
    this.#h1 = Math.imul(this.#h1 ^ c, FACTOR1);
    this.#h2 = Math.imul(this.#h2 ^ c, FACTOR2);
  }

  /** Adds a newline and the bytes. */
  addLine(bytes: Uint8Array, from: number, to: number): void {
    let h1 = Math.imul(this.#h1 ^ NEWLINE, FACTOR1);
    let h2 = Math.imul(this.#h2 ^ NEWLINE, FACTOR2);
    for (let i = from; i < to; i++) {
      const c = bytes[i] as number;
      h1 = Math.imul(h1 ^ c, FACTOR1);
      h2 = Math.imul(h2 ^ c, FACTOR2);
    }
    this.#h1 = h1;
    this.#h2 = h2;
  }

  get value(): number {
    return mixed(this.#h1, this.#h2);
  }
}

const keyed = new FactHash();
const digits = Buffer.alloc(KEY_DIGITS_MAX);

/** `hashTexts` of the order id that has the key, and `b`. */
export function hashKeyed(kind: number, key: number, b: string): number {
  keyed.beginKind(kind);
  keyed.addText(ORDER_ID_PREFIX);
  keyed.add(digits, 0, writeDigits(digits, 0, leftAlignedOf(key), digitsOfKey(key)));
  keyed.addByte(NEWLINE);
  keyed.addText(b);
  return keyed.value;
}

/** The state of the hash of a kind of fact after a text. */
export interface HashState {
  readonly h1: number;
  readonly h2: number;
}

export function hashState(kind: number, text: string): HashState {
  let h1 = SEED1 ^ kind;
  let h2 = SEED2 ^ kind;
  for (let i = 0; i < text.length; i++) {
    h1 = Math.imul(h1 ^ text.charCodeAt(i), FACTOR1);
    h2 = Math.imul(h2 ^ text.charCodeAt(i), FACTOR2);
  }
  return { h1, h2 };
}
