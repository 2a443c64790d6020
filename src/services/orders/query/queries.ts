import { AppError, isAppError } from "../../../errors.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { Order } from "../../../orders/order.ts";
import { endOfLog, type HeldPartitions, type PartitionView } from "../../../runtime/held-partitions.ts";
import { orderProjection } from "../state/order-projection.ts";
import type { OrderCounts } from "../state/orders-view.ts";

/** How many updates one partition holds, for the metrics; undefined while its store cannot be asked. */
export const heldUpdatesOf = (held: PartitionView): number | undefined => countsOf(held)?.held;

/** The partition in which the configured partitioner puts an order's create. */
export type PartitionOf = (orderId: string, partitionCount: number) => number;

/**
 * Resolves once the record at `position` is applied here. Rejects with PARTITION_ELSEWHERE, PARTITION_HALTED,
 * PARTITION_BLOCKED, with CATCHING_UP if nothing is assigned yet, or with POSITION_NOT_REACHED after `wait_ms_max`.
 */
export const waitForPosition = async (partitions: HeldPartitions, position: LogPosition, wait_ms_max: number): Promise<void> => {
  const { partition, offset } = position;
  const held = heldOrThrow(partitions, partition);
  if (held.nextOffset > offset || (held.state !== "halted" && (await held.reached(offset + 1, wait_ms_max)))) return;
  // The wait also ends when the partition is taken away or halts.
  const now = heldOrThrow(partitions, partition);
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

/**
 * Finds an order wherever its create is: first where the partitioner puts it, then in the other held partitions, since
 * it may come from a client with another partitioner or from before partitions were added.
 *
 * Throws ORDER_NOT_FOUND only if every partition is held here, the partition where the partitioner puts the order has
 * been read to its end, and each of the others was either `searched` for the order or has applied all that it held
 * when it was last heard of. Otherwise it throws PARTITION_ELSEWHERE, CATCHING_UP, LOG_UNAVAILABLE, PARTITION_BLOCKED
 * or PARTITION_HALTED. A row of a partition that is halted or in doubt is never answered.
 */
export const findOrder = (
  partitions: HeldPartitions,
  partitionOf: PartitionOf,
  orderId: string,
  searched: ReadonlySet<number> = NONE,
): Order => {
  const { partitionCount } = partitions;
  const home = partitionCount === 0 ? undefined : partitionOf(orderId, partitionCount);
  const atHome = home === undefined ? undefined : orderIn(partitions.get(home), orderId);
  if (atHome !== undefined) return atHome;
  for (const held of partitions.held()) {
    const order = held.partition === home ? undefined : orderIn(held, orderId);
    if (order !== undefined) return order;
  }
  throw notFound(partitions, home, orderId, searched);
};

const NONE: ReadonlySet<number> = new Set();

/** Whether the partition is known to hold records that it has not applied for a while, or is not going to apply. */
const hasUnread = ({ hindered, isLagging, nextOffset, endOffset }: PartitionView): boolean =>
  isLagging || (hindered !== undefined && nextOffset < endOffset);

/** The held partitions, apart from the order's own, whose unread records may belong to the order. */
export const unreadOf = (partitions: HeldPartitions, partitionOf: PartitionOf, orderId: string): PartitionView[] => {
  const home = partitions.partitionCount === 0 ? undefined : partitionOf(orderId, partitions.partitionCount);
  return [...partitions.held()].filter((held) => held.partition !== home && held.isComplete && hasUnread(held));
};

/**
 * The held partitions that have a row of the order, beginning with the one that `findOrder` answers from. There may be
 * more than one if several programs created the order, or if some of its updates went to another partition. If there
 * is none, it throws what `findOrder` throws.
 */
export const partitionsOf = (partitions: HeldPartitions, partitionOf: PartitionOf, orderId: string): PartitionView[] => {
  const { partitionCount } = partitions;
  const home = partitionCount === 0 ? undefined : partitionOf(orderId, partitionCount);
  const found: { held: PartitionView; rank: number }[] = [];
  for (const held of partitions.held()) {
    try {
      const view = held.view(orderProjection);
      if (!view?.hasRow(orderId)) continue;
      requireTrusted(held);
      found.push({ held, rank: (view.order(orderId) ? 0 : 2) + (held.partition === home ? 0 : 1) });
    } catch (e) {
      throw isAppError(e) ? e : held.queryError(e);
    }
  }
  if (found.length === 0) throw notFound(partitions, home, orderId);
  return found.toSorted((a, b) => a.rank - b.rank).map(({ held }) => held);
};

const notFound = (
  partitions: HeldPartitions,
  home: number | undefined,
  orderId: string,
  searched: ReadonlySet<number> = NONE,
): AppError => {
  const atHome = home === undefined ? undefined : partitions.get(home);
  // What only a person can end is reported before what passes by itself, such as an unknown number of partitions.
  const mayHold = home === undefined ? [...partitions.held()] : [atHome];
  const halted = mayHold.find((held) => held?.state === "halted");
  if (halted) throw causeOf(halted);
  requireAssignment(partitions);
  requireReadable(partitions);
  if (atHome !== undefined && !isCaughtUp(atHome)) throw causeOf(atHome);
  requireComplete(partitions, searched);
  const elsewhere = partitionsElsewhere(partitions);
  if (elsewhere.length === 0) {
    // Who polls for an order that was just created finds it as soon as the log gives it.
    partitions.hurry?.();
    return new AppError("ORDER_NOT_FOUND", `There is no order ${orderId}.${begunLate(partitions)}`, { orderId });
  }
  const isHomeElsewhere = home !== undefined && elsewhere.includes(home);
  return new AppError(
    "PARTITION_ELSEWHERE",
    isHomeElsewhere
      ? `Order ${orderId} belongs to partition ${home}, which another instance holds; ask that one.`
      : `Order ${orderId} is in none of the partitions held here; ask the instances that hold the others.`,
    { orderId, ...(isHomeElsewhere ? { partition: home } : {}), partitions: elsewhere },
  );
};

/** A sentence if the log had lost its first records, and that was accepted; otherwise empty. */
const begunLate = (partitions: HeldPartitions): string => {
  const late = [...partitions.held()].filter(({ startedAt }) => startedAt > 0);
  if (late.length === 0) return "";
  const named = late.map(({ partition, startedAt }) => `partition ${partition} from offset ${startedAt} on`);
  return ` What the log had lost before is not known here: ${named.join(", ")} was read.`;
};

const isCaughtUp = ({ state, hindered, doubt }: PartitionView): boolean =>
  state === "running" && hindered === undefined && doubt === undefined;

const orderIn = (held: PartitionView | undefined, orderId: string): Order | undefined => {
  let order: Order | undefined;
  try {
    order = held?.view(orderProjection)?.order(orderId);
  } catch (e) {
    throw held?.queryError(e) ?? e;
  }
  if (held && order !== undefined) requireTrusted(held);
  return order;
};

/** Throws if the rows may differ from what the log has, or be older than what was answered before (I7). */
const requireTrusted = (held: PartitionView): void => {
  if (held.state === "halted" || held.doubt !== undefined || !held.hasBeenComplete) throw causeOf(held);
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

/** The partitions that other instances hold, in ascending order. */
export const partitionsElsewhere = (partitions: HeldPartitions): number[] => {
  const elsewhere: number[] = [];
  for (let p = 0; p < partitions.partitionCount; p++) if (partitions.get(p) === undefined) elsewhere.push(p);
  return elsewhere;
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
 * Throws unless everything is known about the partitions held here: LOG_UNAVAILABLE, CATCHING_UP or PARTITION_BLOCKED,
 * or PARTITION_HALTED if only an operator can help.
 */
const requireComplete = (partitions: HeldPartitions, searched: ReadonlySet<number> = NONE): void => {
  requireReadable(partitions);
  let halted: PartitionView | undefined;
  for (const held of partitions.held()) {
    if (held.state === "halted") halted ??= held;
    else if (!held.isComplete || (hasUnread(held) && !searched.has(held.partition))) throw causeOf(held);
  }
  if (halted !== undefined) throw causeOf(halted);
};

/** Must pass before an answer that covers all held partitions. */
export const requireAllTrusted = (partitions: HeldPartitions): void => {
  requireComplete(partitions);
  for (const held of partitions.held()) requireTrusted(held);
};

/** Says why the partition cannot answer, or not completely. */
const causeOf = ({ partition, state, halted, hindered, doubt, nextOffset, endOffset }: PartitionView): AppError => {
  if (state === "halted")
    return new AppError("PARTITION_HALTED", `Partition ${partition} is halted: ${halted ?? "see the log."}`, { partition });
  if (state === "suspended" || state === "blocked")
    return new AppError("PARTITION_BLOCKED", `Partition ${partition} waits. ${hindered ?? ""}`, { partition });
  if (hindered !== undefined)
    return new AppError("LOG_UNAVAILABLE", `Partition ${partition} cannot be read now. ${hindered}`, { partition });
  if (doubt !== undefined) return new AppError("CATCHING_UP", `Partition ${partition}: ${doubt} Ask again.`, { partition });
  return new AppError(
    "CATCHING_UP",
    `Partition ${partition} is catching up: the next offset that it applies is ${nextOffset}, and ${endOfLog(nextOffset, endOffset)}; ask again.`,
    { partition, nextOffset, endOffset },
  );
};
