/** Of an event id, a customer id and an item id, in UTF-16 code units. */
export const ID_CHARS_MAX = 128;

/**
 * Whether it is a customer's or an item's id: 1 to ID_CHARS_MAX characters. Half a surrogate pair is refused: it has no
 * UTF-8, so it would come back from a store as another string.
 */
export const isName = (value: unknown): value is string =>
  typeof value === "string" && value.length >= 1 && value.length <= ID_CHARS_MAX && value.isWellFormed();

/**
 * Well-formed text, as isName wants it, for a schema. It means the same with and without the flag `u`, which validators
 * differ in.
 */
export const NAME_PATTERN = "^(?:[^\\ud800-\\udfff]|[\\ud800-\\udbff][\\udc00-\\udfff])*$";

/** A name without control characters, as isEventId wants it. The cart asks it of every id that a client makes up. */
export const PLAIN_NAME_PATTERN = "^(?:[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]|[\\ud800-\\udbff][\\udc00-\\udfff])*$";

/** Whether it is a name without control characters (Unicode's Cc), so that a list of ids can be one string. */
export function isEventId(value: unknown): value is string {
  if (!isName(value)) return false;
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i);
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f)) return false;
  }
  return true;
}

/** Whether it is three capital letters, as ISO 4217 writes a currency. */
export function isCurrencyCode(value: unknown): value is string {
  if (typeof value !== "string" || value.length !== 3) return false;
  for (let i = 0; i < 3; i++) {
    const c = value.charCodeAt(i);
    if (c < 65 || c > 90) return false;
  }
  return true;
}
