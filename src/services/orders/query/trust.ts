import { AppError } from "../../../errors.ts";
import { endOfLog, type HeldPartitions, type PartitionView } from "../../../runtime/held-partitions.ts";

/** Whether what a partition has may be answered, and whether that is all. Each error says why not, and what to do. */

/** Whether the partition is known to hold records that it has not applied for a while, or is not going to apply. */
export const hasUnread = ({ hindered, isLagging, nextOffset, endOffset }: PartitionView): boolean =>
  isLagging || (hindered !== undefined && nextOffset < endOffset);

/** An owner that lacks records tells orders unmarked as long as the log cannot have had these for longer than this. */
const UNMARKED_AGE_MS_MAX = 3_000;
/**
 * The same for one that is not known to lack any. The log is asked for its ends more often, so that one may have stood
 * still, or does not get to the log.
 */
export const UNHEARD_AGE_MS_MAX = 16_000;

/**
 * Whether the partition lacks records that the log may have had for long. A transaction that began a moment ago hides
 * only new ones, though the log may have been asked for its end long before.
 */
export const isFarBehind = (held: PartitionView): boolean => {
  const { hidden, age_ms = 0 } = held;
  const isJustHidden = hidden !== undefined && hidden.lasting === undefined;
  return age_ms > (hasUnread(held) && !isJustHidden ? UNMARKED_AGE_MS_MAX : UNHEARD_AGE_MS_MAX);
};

const isCaughtUp = ({ state, hindered, doubt }: PartitionView): boolean =>
  state === "running" && hindered === undefined && doubt === undefined;

/** Whether the rows are what the log has, and not older than what was answered before (I7). */
export const isTrusted = ({ state, doubt, hasBeenComplete }: PartitionView): boolean =>
  state !== "halted" && doubt === undefined && hasBeenComplete;

export const requireTrusted = (held: PartitionView): void => {
  if (!isTrusted(held)) throw causeOf(held);
};

/** Throws LOG_UNAVAILABLE or CATCHING_UP while it is unknown which partitions this instance owns. */
export const requireAssignment = (partitions: HeldPartitions): void => {
  const { partitionCount, membership, readFailure } = partitions;
  if (partitionCount > 0 && membership === "stable") return;
  if (readFailure !== undefined)
    throw new AppError("LOG_UNAVAILABLE", `It is not known which partitions are held here. ${readFailure}`);
  if (partitionCount === 0) throw new AppError("CATCHING_UP", "The topic is not there yet, or not reached yet; ask again.");
  throw new AppError("CATCHING_UP", "The partitions are being assigned; ask again.", { membership });
};

const requireReadable = ({ readFailure }: HeldPartitions): void => {
  if (readFailure !== undefined)
    throw new AppError("LOG_UNAVAILABLE", `It is not known now what the log holds beyond what was read. ${readFailure}`);
};

/**
 * Why the partition may have more of an order than its rows tell; undefined if it has not. Of the order's `home`, where
 * the partitioner puts it, more is asked: it must have been read to its end. Another partition may have unread records,
 * if they were `searched` for the order.
 */
export const doubtAbout = (
  partitions: HeldPartitions,
  held: PartitionView,
  { isHome, isSearched }: { readonly isHome: boolean; readonly isSearched: boolean },
): AppError | undefined => {
  // What only a person can end is reported before what passes by itself.
  if (isHome && held.state === "halted") return causeOf(held);
  try {
    requireAssignment(partitions);
    requireReadable(partitions);
  } catch (e) {
    return e as AppError;
  }
  const isWhole = held.isComplete && held.state !== "halted" && (!hasUnread(held) || (isSearched && !isHome));
  return isWhole && (!isHome || isCaughtUp(held)) ? undefined : causeOf(held);
};

/**
 * Must pass before an answer that covers all of these partitions. Throws LOG_UNAVAILABLE, CATCHING_UP or
 * PARTITION_BLOCKED, or PARTITION_HALTED if only an operator can help.
 */
export const requireAllTrusted = (partitions: HeldPartitions, those: readonly PartitionView[]): void => {
  requireReadable(partitions);
  const halted = those.find(({ state }) => state === "halted");
  const isWhole = (held: PartitionView) => held.isComplete && held.hasReachedEnd && !hasUnread(held);
  for (const held of those) if (held.state !== "halted" && !isWhole(held)) throw causeOf(held);
  if (halted !== undefined) throw causeOf(halted);
  for (const held of those) requireTrusted(held);
};

/** Says that another member may own the partition by now, so that only that one can answer for it. */
export const mayBeReplaced = ({ partition }: PartitionView): AppError =>
  new AppError(
    "PARTITION_ELSEWHERE",
    `The group has not confirmed lately that this order service owns partition ${partition}; another one may.`,
    { partition },
  );

/** Says why the partition cannot answer, or not completely. */
export const causeOf = (held: PartitionView): AppError => {
  const { partition, state, halted, hindered, doubt, nextOffset, endOffset, hidden } = held;
  if (state === "halted")
    return new AppError("PARTITION_HALTED", `Partition ${partition} is halted: ${halted ?? "see the log."}`, { partition });
  if (state === "suspended" || state === "blocked")
    return new AppError("PARTITION_BLOCKED", `Partition ${partition} waits. ${hindered ?? ""}`, { partition });
  if (hindered !== undefined)
    return new AppError("LOG_UNAVAILABLE", `Partition ${partition} cannot be read now. ${hindered}`, { partition });
  if (doubt !== undefined) return new AppError("CATCHING_UP", `Partition ${partition}: ${doubt} Ask again.`, { partition });
  if (hidden !== undefined) return hiddenBehind(partition, hidden.from);
  return new AppError(
    "CATCHING_UP",
    `Partition ${partition} is catching up: the next offset that it applies is ${nextOffset}, and ${endOfLog(nextOffset, endOffset)}; ask again.`,
    { partition, nextOffset, endOffset },
  );
};

/** Says that an open transaction of another program hides what the partition has from an offset on. */
export const hiddenBehind = (partition: number, from: number): AppError =>
  new AppError(
    "LOG_UNAVAILABLE",
    `Partition ${partition} has records from offset ${from} on that cannot be read yet: another program's transaction is open there. Ask again.`,
    { partition },
  );
