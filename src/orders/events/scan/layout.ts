import { STATUSES } from "../../order.ts";

const WORD_BYTES = 8;

/**
 * Bytes that an event has always in one layout. They are compared eight at a time, as doubles, in half the time that
 * integers of 32 bits take. Doubles made of ASCII are neither NaN nor zero, so that equal ones have equal bytes.
 */
export class Literal {
  readonly #bytes: number;
  readonly #first: number;
  /** The bytes between the first eight and the last eight. */
  readonly #middle: Float64Array;
  /** The last eight bytes, of which some are before, too, where the length is no multiple of eight. */
  readonly #last: number;

  /** The text is ASCII and has at least eight characters. */
  constructor(text: string) {
    const bytes = Buffer.from(text, "latin1");
    if (bytes.length < WORD_BYTES) throw new Error(`${text} is shorter than ${WORD_BYTES} bytes.`);
    this.#bytes = bytes.length;
    this.#first = bytes.readDoubleLE();
    this.#middle = Float64Array.from({ length: Math.max(0, Math.ceil(bytes.length / WORD_BYTES) - 2) }, (_, i) =>
      bytes.readDoubleLE((i + 1) * WORD_BYTES),
    );
    this.#last = bytes.readDoubleLE(bytes.length - WORD_BYTES);
  }

  /** Whether the bytes [at, to) are the literal. */
  is(view: DataView, at: number, to: number): boolean {
    return at + this.#bytes === to && this.end(view, at, to) === to;
  }

  /** The position behind the literal at `at`; −1 where it does not stand there, before `to`. */
  end(view: DataView, at: number, to: number): number {
    const end = at + this.#bytes;
    if (end > to || view.getFloat64(at, true) !== this.#first || view.getFloat64(end - WORD_BYTES, true) !== this.#last)
      return -1;
    const middle = this.#middle;
    for (let i = 0, p = at + WORD_BYTES; i < middle.length; i++, p += WORD_BYTES) {
      if (view.getFloat64(p, true) !== middle[i]) return -1;
    }
    return end;
  }
}

/** The statuses in a layout, each with the name of its member and with what ends the value behind it. */
export class StatusLiterals {
  readonly #literals: readonly Literal[];

  constructor(layout: Layout, end: string) {
    this.#literals = STATUSES.map((status) => literal(layout, `","status":"${status}${end}`));
  }

  /** The index in STATUSES of the one that the bytes [at, to) are; −1 where they are none. */
  find(view: DataView, at: number, to: number): number {
    const literals = this.#literals;
    for (let i = 0; i < literals.length; i++) if ((literals[i] as Literal).is(view, at, to)) return i;
    return -1;
  }
}

/** How a program writes JSON: what it puts after a name and between two members or elements. */
export interface Layout {
  readonly colon: string;
  readonly comma: string;
}

/** The layouts that are scanned: that of `encodeEvent` and JSON.stringify, and that of Python's json.dumps. */
export const LAYOUTS: readonly Layout[] = [
  { colon: ":", comma: "," },
  { colon: ": ", comma: ", " },
];

/** The literal in a layout. It is given in the first one, and has colons and commas only between members and elements. */
export const literal = ({ colon, comma }: Layout, text: string): Literal =>
  new Literal(text.replaceAll(":", colon).replaceAll(",", comma));
