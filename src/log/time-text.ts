import type { Timestamp } from "./log.ts";

/** What RFC 3339 has dates for: the years 0 to 9999. */
const FIRST_MS = Date.parse("0000-01-01T00:00:00.000Z");
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** For people: the date as RFC 3339 has it, or the stamp's own digits where it is none, such as one in nanoseconds. */
export const timeText = (timestamp_ms: Timestamp): string =>
  timestamp_ms >= FIRST_MS && timestamp_ms <= LAST_MS ? new Date(Number(timestamp_ms)).toISOString() : String(timestamp_ms);
