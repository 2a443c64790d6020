import { AppError } from "../errors.ts";
import type { NewRecord, Timestamp } from "./port.ts";

/** A number where that is exact. */
export const timestampOf = (value: number | bigint): Timestamp => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value);
};

/** What RFC 3339 has dates for: the years 0 to 9999. */
const FIRST_DATE_MS = Date.parse("0000-01-01T00:00:00.000Z");
const LAST_DATE_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** For people: the date as RFC 3339 has it, or the stamp's own digits where it is none, such as one in nanoseconds. */
export const timeText = (value: Timestamp): string =>
  value >= FIRST_DATE_MS && value <= LAST_DATE_MS ? new Date(Number(value)).toISOString() : String(value);

/** Whether it is a whole number of 64 bits, as the log keeps it. */
export const isTimestamp = (value: Timestamp): boolean =>
  typeof value === "bigint" ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value) || isWhole64(value);

const isWhole64 = (value: number): boolean => Number.isInteger(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value);

export const invalidTimestamp = (value: Timestamp): AppError =>
  new AppError("APPEND_REFUSED", `The timestamp ${value} is no whole number of 64 bits; the record was not appended.`);

/** Throws APPEND_REFUSED where one of them is no timestamp. */
export function requireTimestamps(records: readonly NewRecord[]): void {
  for (const { timestamp_ms } of records) if (!isTimestamp(timestamp_ms)) throw invalidTimestamp(timestamp_ms);
}
