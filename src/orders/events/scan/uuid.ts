/** The characters of a UUID. */
export const UUID_CHARS = 36;
const DASH = 45;

/** A UUID as four integers of 32 bits, its first digits first. */
export class Uuid {
  a = 0;
  b = 0;
  c = 0;
  d = 0;

  /** Reads the UUID at `at`; false where none in lower case stands there, before `to`. */
  read(view: DataView, at: number, to: number): boolean {
    if (at + UUID_CHARS > to) return false;
    const w0 = view.getInt32(at);
    const w1 = view.getInt32(at + 4);
    const w2 = view.getInt32(at + 9);
    const w3 = view.getInt32(at + 14);
    const w4 = view.getInt32(at + 19);
    const w5 = view.getInt32(at + 24);
    const w6 = view.getInt32(at + 28);
    const w7 = view.getInt32(at + 32);
    const dashes =
      (view.getUint8(at + 8) ^ DASH) |
      (view.getUint8(at + 13) ^ DASH) |
      (view.getUint8(at + 18) ^ DASH) |
      (view.getUint8(at + 23) ^ DASH);
    const faults = fault(w0) | fault(w1) | fault(w2) | fault(w3) | fault(w4) | fault(w5) | fault(w6) | fault(w7);
    if ((dashes | faults) !== 0) return false;
    this.a = joined(digitValues(w0), digitValues(w1));
    this.b = joined(digitValues(w2), digitValues(w3));
    this.c = joined(digitValues(w4), digitValues(w5));
    this.d = joined(digitValues(w6), digitValues(w7));
    return true;
  }
}

/**
 * The values of four hexadecimal digits in lower case, each in the byte where the digit was. 0x30 is taken from each,
 * and 0x27 more from those with bit 6, as letters have it. Where that is too much for a byte, it borrows from the next,
 * but the upper half of its own then shows the fault.
 */
const digitValues = (w: number): number => (w - 0x30303030 - Math.imul((w >>> 6) & 0x01010101, 0x27)) | 0;

/** Not 0 where one of the bytes is no digit: its value is above 15, or above 9 without bit 6, or below 10 with it. */
function fault(w: number): number {
  const values = digitValues(w);
  return (values & 0xf0f0f0f0) | ((((values + 0x06060606) >>> 4) ^ (w >>> 6)) & 0x01010101);
}

/** The number that eight digits are, by their values. */
function joined(high: number, low: number): number {
  const highPairs = high | (high >>> 4);
  const lowPairs = low | (low >>> 4);
  const highHalf = ((highPairs >>> 8) & 0xff00) | (highPairs & 0xff);
  return (highHalf << 16) | ((lowPairs >>> 8) & 0xff00) | (lowPairs & 0xff);
}
