import { writeDigits } from "./decimal-digits.ts";
import { isOrderId, ORDER_ID_PREFIX } from "./order-id.ts";

/** What an order is known by: its key, or its id if that is too long to have one. */
export type OrderName = number | string;

export const nameOf = (orderId: string): OrderName => orderKeyOf(orderId) ?? orderId;
export const orderIdOf = (name: OrderName): string => (typeof name === "number" ? orderIdOfKey(name) : name);

/** The most digits of an order id that has a key. */
export const KEY_DIGITS_MAX = 14;

/** A key keeps the number of digits in its lowest four bits. */
const LENGTHS = 16;

const HALF_DIGITS = 7;
const HALF = 10 ** HALF_DIGITS;
const POWERS = Float64Array.from({ length: KEY_DIGITS_MAX + 1 }, (_, exponent) => 10 ** exponent);
const ZERO = 48;

/**
 * An order's key is a number that stands for its id and sorts as ids do by code unit: the digits, filled up with zeros
 * on the right to KEY_DIGITS_MAX places, times 16, plus how many digits there are. So `1` < `10` < `100` < `2`, and
 * `007` is another key than `7`. It is an integer below 2^51, and therefore exact in a double and in SQLite.
 */
const keyOf = (leftAligned: number, digits: number): number => leftAligned * LENGTHS + digits;

/** The key of an order id; undefined where it has more than KEY_DIGITS_MAX digits, or is no order id. */
export function orderKeyOf(orderId: string): number | undefined {
  const digits = orderId.length - ORDER_ID_PREFIX.length;
  if (digits > KEY_DIGITS_MAX || !isOrderId(orderId)) return undefined;
  return keyOf(Number(orderId.slice(ORDER_ID_PREFIX.length)) * (POWERS[KEY_DIGITS_MAX - digits] as number), digits);
}

/** The order id of a key, which must be one that a function of this file gave. */
export function orderIdOfKey(key: number): string {
  return written.toString("latin1", 0, writeDigits(written, ORDER_ID_PREFIX.length, leftAlignedOf(key), digitsOfKey(key)));
}

/** The prefix, and room for the digits behind it. */
const written = Buffer.alloc(ORDER_ID_PREFIX.length + KEY_DIGITS_MAX);
written.write(ORDER_ID_PREFIX, "latin1");

/** A key from which on, in ascending order, are those of all ids after this text by code unit; the first may be before it. */
export function keyAtOrBefore(text: string): number {
  const key = orderKeyOf(text);
  if (key !== undefined) return key;
  // An id of more digits sorts right behind that of its first digits.
  for (let chars = text.length - 1; chars > 0; chars--) {
    const shorter = orderKeyOf(text.slice(0, chars));
    if (shorter !== undefined) return shorter;
  }
  return text > ORDER_ID_PREFIX && !text.startsWith(ORDER_ID_PREFIX) ? Number.MAX_SAFE_INTEGER : -1;
}

/** How many digits the order id of a key has, 1 to KEY_DIGITS_MAX. */
export const digitsOfKey = (key: number): number => key % LENGTHS;

/** The digits of a key as a number of KEY_DIGITS_MAX places. */
export const leftAlignedOf = (key: number): number => Math.floor(key / LENGTHS);

/** The key of the order id in bytes [from, to); −1 where there is none with a key. It never throws. */
export function orderKeyAt(bytes: Uint8Array, from: number, to: number): number {
  const digitsFrom = from + ORDER_ID_PREFIX.length;
  if (from < 0 || to > bytes.length || to <= digitsFrom || to > digitsFrom + KEY_DIGITS_MAX) return -1;
  for (let i = 0; i < ORDER_ID_PREFIX.length; i++) if (bytes[from + i] !== ORDER_ID_PREFIX.charCodeAt(i)) return -1;
  return digitsKeyAt(bytes, digitsFrom, to);
}

/**
 * The key of an order id whose 1 to KEY_DIGITS_MAX digits are the bytes [from, to); −1 where one is no digit. The two
 * halves are added up apart, because integers of 32 bits are faster than doubles.
 */
export function digitsKeyAt(bytes: Uint8Array, from: number, to: number): number {
  const middle = from + HALF_DIGITS;
  if (to <= middle) {
    const high = leftAlignedHalf(bytes, from, to);
    return high < 0 ? -1 : keyOf(high * HALF, to - from);
  }
  const high = leftAlignedHalf(bytes, from, middle);
  const low = leftAlignedHalf(bytes, middle, to);
  return high < 0 || low < 0 ? -1 : keyOf(high * HALF + low, to - from);
}

/** At most HALF_DIGITS digits as a number of HALF_DIGITS places; −1 where one is no digit. */
function leftAlignedHalf(bytes: Uint8Array, from: number, to: number): number {
  let n = 0;
  for (let i = from; i < to; i++) {
    const digit = (bytes[i] as number) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    n = n * 10 + digit;
  }
  return n * (POWERS[HALF_DIGITS - to + from] as number);
}
