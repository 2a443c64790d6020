import { AppError } from "../errors.ts";
import type { NewRecord, Timestamp } from "./port.ts";

/** A number if that is exact, else a bigint. */
export const timestampOf = (value: number | bigint): Timestamp => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value);
};

/** The first and the last date that RFC 3339 can write: the years 0 to 9999. */
const FIRST_DATE_MS = Date.parse("0000-01-01T00:00:00.000Z");
const LAST_DATE_MS = Date.parse("9999-12-31T23:59:59.999Z");

/**
 * For people: the date as RFC 3339 has it. A timestamp that is no such date, such as one in nanoseconds, is shown by
 * its digits.
 */
export const timeText = (value: Timestamp): string =>
  value >= FIRST_DATE_MS && value <= LAST_DATE_MS ? new Date(Number(value)).toISOString() : String(value);

/** Whether it is an integer of 64 bits, which is what the log keeps. */
export const isTimestamp = (value: Timestamp): boolean =>
  typeof value === "bigint" ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value) || isWhole64(value);

const isWhole64 = (value: number): boolean => Number.isInteger(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value);

export const invalidTimestamp = (value: Timestamp): AppError =>
  new AppError("APPEND_REFUSED", `The timestamp ${value} is no whole number of 64 bits; the record was not appended.`);

/** Throws APPEND_REFUSED if a record's timestamp is not one. */
export function requireTimestamps(records: readonly NewRecord[]): void {
  for (const { timestamp_ms } of records) if (!isTimestamp(timestamp_ms)) throw invalidTimestamp(timestamp_ms);
}
