import { type AppError, type ErrorCode, isAppError } from "../../../errors.ts";
import { isKnown, type KnownOrder } from "./known-order.ts";

/** What was told of an order, as far as somebody else may tell more. */

/** Whether the partition's owner could not be asked, which says nothing about the order. */
export const isAway = (told: KnownOrder | AppError): boolean =>
  isAppError(told, "PARTITION_ELSEWHERE") || isAppError(told, "OWNER_UNREACHABLE");

/**
 * Why an owner may lack what others have: it has not read all yet, or does not get to the log now. One whose store fails
 * goes on to tell lists of what it has, which must not lack what a standby has told.
 */
const OF_ONE_PROCESS: ReadonlySet<ErrorCode> = new Set(["CATCHING_UP", "LOG_UNAVAILABLE"]);

/** Why the order was not told, if it was not. */
const whyNot = (told: KnownOrder | AppError): AppError | undefined => {
  if (!isKnown(told)) return told;
  return told.details === undefined ? told.doubt : undefined;
};

/** Whether the owner has not told all that there may be of the order. */
const isBehind = (told: KnownOrder | AppError): boolean => {
  const why = whyNot(told);
  return why !== undefined && OF_ONE_PROCESS.has(why.code);
};

export const isCatchingUp = (told: KnownOrder | AppError | undefined): boolean =>
  told !== undefined && isAppError(whyNot(told), "CATCHING_UP");

/** Whether somebody who follows the partition may tell more than its owner did. */
export const isUnsettled = (told: KnownOrder | AppError | undefined): boolean =>
  told !== undefined && (isAway(told) || isBehind(told) || (isKnown(told) && told.stale?.mayBeElsewhere === true));

/** Whether the partition vouches that it does not have the order. */
export const isAbsent = (told: KnownOrder | AppError | undefined): told is KnownOrder =>
  isKnown(told) && told.details === undefined && told.doubt === undefined;

/** Only an order that is there counts: what a follower does not have may be at the owner. */
export const isBetter = ({ details, stale }: KnownOrder, before: KnownOrder | AppError | undefined): boolean => {
  if (details === undefined) return false;
  if (!isKnown(before) || before.details === undefined || stale === undefined) return true;
  return before.stale !== undefined && stale.age_ms < before.stale.age_ms;
};
