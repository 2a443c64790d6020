import { AppError } from "../errors.ts";
import type { Timestamp } from "./log.ts";

/** A number where that is exact. */
export const timestampOf = (value: number | bigint): Timestamp => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value);
};

/** Whether it is a whole number of 64 bits, as the log keeps it. */
export const isTimestamp = (value: Timestamp): boolean =>
  typeof value === "bigint" ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value) || isWhole64(value);

const isWhole64 = (value: number): boolean => Number.isInteger(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value);

export const invalidTimestamp = (value: Timestamp): AppError =>
  new AppError("APPEND_REFUSED", `The timestamp ${value} is no whole number of 64 bits; the record was not appended.`);
