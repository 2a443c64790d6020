const ZERO = 48;
const HALF_DIGITS = 7;
const HALF = 10 ** HALF_DIGITS;
const POWERS = Float64Array.from({ length: 2 * HALF_DIGITS + 1 }, (_, exponent) => 10 ** exponent);

/** The most digits that are written here. */
export const WRITTEN_DIGITS_MAX = 2 * HALF_DIGITS + 1;

const FRACTION_BITS = 28;
const FRACTION = 2 ** FRACTION_BITS;
const FRACTION_MASK = FRACTION - 1;
const SCALE = FRACTION / HALF;

/**
 * Writes the first `count` digits of a number of 14 places, filled up with zeros on the left, and returns the position
 * behind them.
 */
export function writeDigits(bytes: Uint8Array, at: number, places14: number, count: number): number {
  const high = Math.floor(places14 / HALF);
  writeHalf(bytes, at, high, Math.min(count, HALF_DIGITS));
  if (count > HALF_DIGITS) writeHalf(bytes, at + HALF_DIGITS, places14 - high * HALF, count - HALF_DIGITS);
  return at + count;
}

/** Writes an integer from 0 to 10^15 − 1 as `String` does, and returns the position behind it. */
export function writeInteger(bytes: Uint8Array, at: number, n: number): number {
  if (n < 10) {
    bytes[at] = ZERO + n;
    return at + 1;
  }
  if (n >= HALF * HALF) {
    const first = Math.floor(n / (HALF * HALF));
    bytes[at] = ZERO + first;
    return writeDigits(bytes, at + 1, n - first * HALF * HALF, 2 * HALF_DIGITS);
  }
  let count = 2;
  while (n >= (POWERS[count] as number)) count++;
  if (count > HALF_DIGITS) return writeDigits(bytes, at, n * (POWERS[2 * HALF_DIGITS - count] as number), count);
  writeHalf(bytes, at, n * (POWERS[HALF_DIGITS - count] as number), count);
  return at + count;
}

/**
 * Writes the first `count` digits of a number of seven places. They come without a division each from the number as a
 * fraction of 10^7 in 28 bits, rounded up: its error, below 10^-7, is too small to change any of seven digits.
 */
function writeHalf(bytes: Uint8Array, at: number, places7: number, count: number): void {
  let fraction = Math.floor(places7 * SCALE) + 1;
  for (let i = at; i < at + count; i++) {
    const scaled = Math.imul(fraction, 10);
    bytes[i] = ZERO + (scaled >>> FRACTION_BITS);
    fraction = scaled & FRACTION_MASK;
  }
}
