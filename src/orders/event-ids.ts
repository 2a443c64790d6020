import { UUID_CHARS } from "./events/scan/uuid.ts";

/** Something with an event id. Whoever knows the bits of a UUID gives those, so that no text is made. */
export interface Identified {
  readonly eventId: string;
  /** The id's bits, if it is a UUID in lower case. */
  readonly uuid?: UuidBits | undefined;
}

const UUID_WORDS = 4;
const WORD_BYTES = 4;

/**
 * The ids of an order's events that counted, oldest first among the UUIDs and among the others. UUIDs are kept as four
 * integers each: comparing those costs a fifth of comparing texts. A value never changes, though several of them share
 * an array: each sees only its own length of it.
 */
export class EventIds {
  static readonly none = new EventIds([], 0, []);

  private constructor(
    private readonly words: number[],
    /** How many of `words` are this value's. */
    private readonly wordCount: number,
    /** The ids that are no UUIDs. */
    readonly texts: readonly string[],
  ) {}

  /** The value with these UUIDs, four integers each, and texts. */
  static of(words: number[], texts: readonly string[]): EventIds {
    return words.length === 0 && texts.length === 0 ? EventIds.none : new EventIds(words, words.length, texts);
  }

  get uuidCount(): number {
    return this.wordCount / UUID_WORDS;
  }

  /** About how many bytes the ids take; it depends on the ids alone. */
  get bytes(): number {
    let bytes = this.wordCount * WORD_BYTES;
    for (const text of this.texts) bytes += text.length;
    return bytes;
  }

  /** The n-th of the integers, four for each UUID. */
  word(n: number): number {
    return this.words[n] as number;
  }

  has(event: Identified): boolean {
    const id = uuidOf(event);
    if (id === undefined) return this.texts.includes(event.eventId);
    const { words, wordCount } = this;
    const { a, b, c, d } = id;
    for (let i = 0; i < wordCount; i += UUID_WORDS)
      if (words[i + 3] === d && words[i + 2] === c && words[i + 1] === b && words[i] === a) return true;
    return false;
  }

  with(event: Identified): EventIds {
    const id = uuidOf(event);
    if (id === undefined) return new EventIds(this.words, this.wordCount, [...this.texts, event.eventId]);
    if (this.wordCount === 0) return new EventIds([id.a, id.b, id.c, id.d], UUID_WORDS, this.texts);
    // Another value may have gone on in the same array.
    const words = this.words.length === this.wordCount ? this.words : this.words.slice(0, this.wordCount);
    words.push(id.a, id.b, id.c, id.d);
    return new EventIds(words, words.length, this.texts);
  }

  /** All ids as texts. */
  toArray(): string[] {
    const ids: string[] = [];
    for (let i = 0; i < this.wordCount; i += UUID_WORDS) ids.push(uuidText(this.words, i));
    ids.push(...this.texts);
    return ids;
  }
}

/** A UUID's 128 bits as four integers of 32 bits, its first digits first. */
export interface UuidBits {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** The UUID of the text that was asked about last. */
const asked = { a: 0, b: 0, c: 0, d: 0 };

const uuidOf = (event: Identified): UuidBits | undefined => event.uuid ?? (readUuid(event.eventId, asked) ? asked : undefined);

/** Reads a UUID in lower case (RFC 9562). Returns false for any other text. */
export function readUuid(text: string, into: { -readonly [K in keyof UuidBits]: number }): boolean {
  if (text.length !== UUID_CHARS) return false;
  let digits = 0;
  let word = 0;
  for (let i = 0; i < UUID_CHARS; i++) {
    const c = text.charCodeAt(i);
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (c !== DASH) return false;
      continue;
    }
    const digit = c >= ZERO && c <= NINE ? c - ZERO : c >= LOWER_A && c <= LOWER_F ? c - LOWER_A + 10 : -1;
    if (digit < 0) return false;
    word = (word << 4) | digit;
    digits++;
    if (digits === 8) into.a = word;
    else if (digits === 16) into.b = word;
    else if (digits === 24) into.c = word;
    else if (digits === 32) into.d = word;
  }
  return true;
}

const ZERO = 48;
const NINE = 57;
const LOWER_A = 97;
const LOWER_F = 102;
const DASH = 45;

/** The text of the UUID whose four integers begin at `from`. */
export function uuidText(words: ArrayLike<number>, from = 0): string {
  const hex = (n: number) => ((words[from + n] as number) >>> 0).toString(16).padStart(8, "0");
  const [a, b, c, d] = [hex(0), hex(1), hex(2), hex(3)];
  return `${a}-${b.slice(0, 4)}-${b.slice(4)}-${c.slice(0, 4)}-${c.slice(4)}${d}`;
}
