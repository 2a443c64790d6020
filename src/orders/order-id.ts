/** More digits than any order number needs, so that an id has a bound wherever it is a key. */
export const ORDER_ID_DIGITS_MAX = 64;

/** An order id as it goes over the wire, for a schema. */
export const ORDER_ID_PATTERN = `^ORD-[0-9]{1,${ORDER_ID_DIGITS_MAX}}$`;

const PREFIX = "ORD-";
const ZERO = 48;
const NINE = 57;

/** `"123"` and `"ORD-123"` give `"ORD-123"`; undefined for what is not `^(ORD-)?\d+$` in ASCII or has too many digits. */
export function normalizeOrderId(s: string): string | undefined {
  if (s.startsWith(PREFIX)) return hasDigitsFrom(s, PREFIX.length) ? s : undefined;
  return hasDigitsFrom(s, 0) ? PREFIX + s : undefined;
}

/** Whether `s` is an order id as it goes over the wire: `ORD-<digits>`. */
export const isOrderId = (s: string): boolean => s.startsWith(PREFIX) && hasDigitsFrom(s, PREFIX.length);

function hasDigitsFrom(s: string, start: number): boolean {
  const digits = s.length - start;
  if (digits < 1 || digits > ORDER_ID_DIGITS_MAX) return false;
  for (let i = start; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c < ZERO || c > NINE) return false;
  }
  return true;
}
