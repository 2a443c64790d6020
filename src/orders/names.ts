/** The longest event id, customer id or item id, in UTF-16 code units. */
export const ID_CHARS_MAX = 128;

/**
 * Whether the value is a valid customer or item id of 1 to ID_CHARS_MAX characters. Half a surrogate pair is refused:
 * it has no UTF-8 encoding, so a store would return another string.
 */
export const isName = (value: unknown): value is string =>
  typeof value === "string" && value.length >= 1 && value.length <= ID_CHARS_MAX && value.isWellFormed();

/**
 * The pattern of well-formed text for a schema, as `isName` requires it. It means the same with and without the flag
 * `u`, which not all validators set.
 */
export const NAME_PATTERN = "^(?:[^\\ud800-\\udfff]|[\\ud800-\\udbff][\\udc00-\\udfff])*$";

/** The pattern of `isEventId` for a schema. The cart requires it of every id that a client chooses. */
export const PLAIN_NAME_PATTERN = "^(?:[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]|[\\ud800-\\udbff][\\udc00-\\udfff])*$";

/** Whether the value is a name without control characters (Unicode's Cc), so that a list of ids can be one string. */
export function isEventId(value: unknown): value is string {
  if (!isName(value)) return false;
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i);
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f)) return false;
  }
  return true;
}

/** Whether the value has the form of an ISO 4217 code: three capital letters. */
export function isCurrencyCode(value: unknown): value is string {
  if (typeof value !== "string" || value.length !== 3) return false;
  for (let i = 0; i < 3; i++) {
    const c = value.charCodeAt(i);
    if (c < 65 || c > 90) return false;
  }
  return true;
}
