/** The most digits of an order id: more than any order number needs, but a bound wherever an id is a key. */
export const ORDER_ID_DIGITS_MAX = 64;

/** The pattern of an order id on the wire, for a schema. */
export const ORDER_ID_PATTERN = `^ORD-[0-9]{1,${ORDER_ID_DIGITS_MAX}}$`;

export const ORDER_ID_PREFIX = "ORD-";
const ZERO = 48;
const NINE = 57;

/**
 * Turns `123` and `ORD-123` into `ORD-123`; undefined for what is not `^(ORD-)?\d+$` in ASCII or has too many digits.
 */
export function normalizeOrderId(s: string): string | undefined {
  if (s.startsWith(ORDER_ID_PREFIX)) return hasDigitsFrom(s, ORDER_ID_PREFIX.length) ? s : undefined;
  return hasDigitsFrom(s, 0) ? ORDER_ID_PREFIX + s : undefined;
}

/** Whether `s` is an order id as on the wire, `ORD-<digits>`. */
export const isOrderId = (s: string): boolean => s.startsWith(ORDER_ID_PREFIX) && hasDigitsFrom(s, ORDER_ID_PREFIX.length);

function hasDigitsFrom(s: string, start: number): boolean {
  const digits = s.length - start;
  if (digits < 1 || digits > ORDER_ID_DIGITS_MAX) return false;
  for (let i = start; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c < ZERO || c > NINE) return false;
  }
  return true;
}
