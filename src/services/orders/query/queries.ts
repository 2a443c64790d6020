import type { Clock } from "../../../system/clock.ts";
import { AppError } from "../../../errors.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { HeldPartitions, PartitionView } from "../../../runtime/held-partitions.ts";
import { orderProjection } from "../state/order-projection.ts";
import type { OrderCounts } from "../state/orders-view.ts";
import { causeOf, requireAssignment } from "./trust.ts";

/** How many updates one partition holds, for the metrics; undefined while its store cannot be asked. */
export const heldUpdatesOf = (held: PartitionView): number | undefined => countsOf(held)?.held;

/**
 * Resolves once the record at `position` is applied here. Rejects with PARTITION_ELSEWHERE, PARTITION_HALTED,
 * PARTITION_BLOCKED, with CATCHING_UP if nothing is assigned yet, or with POSITION_NOT_REACHED after `wait_ms_max`, and once
 * `leaving` aborts.
 */
export const waitForPosition = async (
  partitions: HeldPartitions,
  position: LogPosition,
  wait_ms_max: number,
  clock: Clock,
  leaving?: AbortSignal,
): Promise<void> => {
  const { partition, offset } = position;
  const deadline_ms = clock.now_ms() + wait_ms_max;
  let now = heldOrThrow(partitions, partition);
  let waited: PartitionView | undefined;
  do {
    waited = now;
    const wait_ms = deadline_ms - clock.now_ms();
    if (now.nextOffset > offset || (now.state !== "halted" && (await now.reached(offset + 1, wait_ms, leaving)))) return;
    // The wait also ends when the partition is taken away, halts, or gets another store, which is waited for, too.
    now = heldOrThrow(partitions, partition);
  } while (now !== waited && clock.now_ms() < deadline_ms);
  if (now.state === "halted" || now.state === "suspended" || now.state === "blocked") throw causeOf(now);
  const { nextOffset, endOffset, hindered } = now;
  const why =
    endOffset > offset ? `the next offset that it applies is ${nextOffset}` : "as far as is known here the log has nothing there";
  throw new AppError(
    "POSITION_NOT_REACHED",
    `Partition ${partition} has not applied offset ${offset} yet: ${why}; ask again.${hindered === undefined ? "" : ` ${hindered}`}`,
    { partition, offset, nextOffset },
  );
};

const heldOrThrow = (partitions: HeldPartitions, partition: number): PartitionView => {
  const held = partitions.get(partition);
  if (held !== undefined) return held;
  requireAssignment(partitions);
  if (partition >= partitions.partitionCount) {
    throw new AppError(
      "POSITION_NOT_REACHED",
      `Partition ${partition} is not known here yet; ask again, or without Log-Position.`,
      { partition },
    );
  }
  throw new AppError("PARTITION_ELSEWHERE", `Partition ${partition} is held by another instance; ask that one.`, { partition });
};

/** The partition's counts; undefined while its store is not open or cannot tell. */
export const countsOf = (held: PartitionView): OrderCounts | undefined => {
  try {
    return held.view(orderProjection)?.counts();
  } catch (e) {
    // This also makes a damaged store be rebuilt.
    held.queryError(e);
    return undefined;
  }
};

/** The sum over the partitions held here; undefined if one of them cannot tell. */
export const totalOf = (partitions: HeldPartitions): OrderCounts | undefined => {
  let orders = 0;
  let waiting = 0;
  for (const held of partitions.held()) {
    const counts = countsOf(held);
    if (!counts) return undefined;
    orders += counts.orders;
    waiting += counts.held;
  }
  return { orders, held: waiting };
};
