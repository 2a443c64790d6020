import { AppError, isAppError } from "../../../errors.ts";
import { formatMoney, shippingCost } from "../../../orders/money.ts";
import { type Order, orderJson } from "../../../orders/order.ts";
import type { HeldPartitions, PartitionView } from "../../../runtime/held-partitions.ts";
import { orderProjection } from "../state/order-projection.ts";
import type { OrdersView } from "../state/orders-view.ts";
import { causeOf, doubtAbout, isFarBehind, isTrusted, mayBeReplaced, requireAssignment, requireTrusted } from "./trust.ts";

/** Why an order that is told may not be as it is now. */
export interface Stale {
  /** For how long, at most, the log may have had more of it, when it was told. */
  readonly age_ms: number;
  /** Whether another member may own the partition, which could tell more. */
  readonly mayBeElsewhere: boolean;
}

/** What one partition has of an order, as its owner tells it; or as somebody else does, who has the order. */
export interface KnownOrder {
  /** The next offset that the partition applies. */
  readonly nextOffset: number;
  /** The first offset folded. */
  readonly startedAt: number;
  /** Whether there is a row, if only of updates that wait for the create. */
  readonly hasRow: boolean;
  /** The answer of `GET /order-details`; undefined if the partition does not have the create. */
  readonly details: string | undefined;
  /** Why the partition may have more of the order than that; undefined if it has not. */
  readonly doubt: AppError | undefined;
  /** Present if whoever tells cannot vouch that this is the newest. There are details then. */
  readonly stale?: Stale | undefined;
}

/** What is known of an order, or why it is not, by partition. */
export type ToldOrder = ReadonlyMap<number, KnownOrder | AppError>;

/** The partition in which the configured partitioner puts an order's create. */
export type PartitionOf = (orderId: string, partitionCount: number) => number;

interface LookOptions {
  readonly isHome: boolean;
  readonly isSearched?: boolean;
  /** Whether an order is told, and marked, that may not be as it is now. */
  readonly mayBeStale?: boolean;
}

/**
 * What a partition that is held here has of the order. Throws if it has the order and may not be answered from (I7), or
 * if its store fails; PARTITION_ELSEWHERE if another member may own it by now.
 */
export function knownIn(
  partitions: HeldPartitions,
  held: PartitionView,
  orderId: string,
  { isHome, isSearched = false, mayBeStale = false }: LookOptions,
): KnownOrder {
  const { nextOffset, startedAt } = held;
  let view: OrdersView | undefined;
  let order: Order | undefined;
  let hasRow: boolean;
  try {
    view = held.view(orderProjection);
    order = view?.order(orderId);
    hasRow = order !== undefined || view?.hasRow(orderId) === true;
  } catch (e) {
    throw held.queryError(e);
  }
  if (order !== undefined) {
    const known = { nextOffset, startedAt, hasRow, details: detailsText(order), doubt: undefined };
    const mayBeElsewhere = partitions.mayBeReplaced === true;
    const isOwners = isTrusted(held) && !mayBeElsewhere;
    if (isOwners && !(mayBeStale && isFarBehind(held))) return known;
    if (mayBeStale && held.age_ms !== undefined) return { ...known, stale: { age_ms: held.age_ms, mayBeElsewhere } };
    requireTrusted(held);
    throw mayBeReplaced(held);
  }
  const doubt = doubtAbout(partitions, held, { isHome, isSearched }) ?? (hasRow && !isTrusted(held) ? causeOf(held) : undefined);
  return { nextOffset, startedAt, hasRow, details: undefined, doubt };
}

/**
 * What a partition that is followed here has of the order. Undefined if it does not have it, which says nothing about
 * the order: only an owner can say that there is none.
 */
export function knownToStandby(standby: PartitionView, orderId: string): KnownOrder | undefined {
  const { nextOffset, startedAt, age_ms } = standby;
  try {
    const order = age_ms === undefined ? undefined : standby.view(orderProjection)?.order(orderId);
    if (order === undefined || age_ms === undefined) return undefined;
    const known = { nextOffset, startedAt, hasRow: true, details: detailsText(order), doubt: undefined };
    return { ...known, stale: { age_ms, mayBeElsewhere: true } };
  } catch (e) {
    throw standby.queryError(e);
  }
}

const detailsText = (order: Order): string =>
  `{"order":${orderJson(order)},"shippingCost":${formatMoney(shippingCost(order.created.total_hundredths))}}`;

export const isKnown = (told: KnownOrder | AppError | undefined): told is KnownOrder => told !== undefined && !isAppError(told);

/** An order's details, and where they are from. */
export interface FoundOrder {
  readonly partition: number;
  readonly nextOffset: number;
  readonly details: string;
  readonly stale: Stale | undefined;
}

/**
 * The order from where its create is: where the partitioner puts it (`home`), else in the first of the others, since it
 * may come from a client with another partitioner, or from before partitions were added. Undefined if none has it.
 */
export function foundIn(told: ToldOrder, home: number | undefined): FoundOrder | undefined {
  const atHome = home === undefined ? undefined : told.get(home);
  const places = home === undefined || atHome === undefined ? inOrder(told) : [[home, atHome] as const, ...inOrder(told)];
  for (const [partition, known] of places) {
    if (!isKnown(known) || known.details === undefined) continue;
    return { partition, nextOffset: known.nextOffset, details: known.details, stale: known.stale };
  }
  return undefined;
}

/**
 * The error to answer with if no create was found. It is ORDER_NOT_FOUND only if each of the topic's partitions was told
 * of and none may have more than that; else it says why that is not so.
 */
export function notFound(
  orderId: string,
  told: ToldOrder,
  home: number | undefined,
  partitionCount: number,
  partitions: HeldPartitions,
): AppError {
  const atHome = home === undefined ? undefined : doubtOf(told.get(home));
  if (atHome !== undefined && !isElsewhere(atHome)) return atHome;
  const elsewhere: number[] = [];
  const doubts: AppError[] = [];
  for (let partition = 0; partition < partitionCount; partition++) {
    const doubt = doubtOf(told.get(partition));
    if (doubt !== undefined && isElsewhere(doubt)) elsewhere.push(partition);
    else if (doubt !== undefined) doubts.push(doubt);
  }
  if (partitionCount === 0 || elsewhere.length > 0) {
    try {
      requireAssignment(partitions);
    } catch (e) {
      return e as AppError;
    }
  }
  const first = doubts.find(({ code }) => code !== "PARTITION_HALTED") ?? doubts[0];
  if (first !== undefined) return first;
  if (elsewhere.length > 0) return askElsewhere(orderId, home, elsewhere);
  return new AppError("ORDER_NOT_FOUND", `There is no order ${orderId}.${begunLate(told)}`, { orderId });
}

/** Why a partition's word does not settle it; a partition of which nothing was told does not either. */
const doubtOf = (told: KnownOrder | AppError | undefined): AppError | undefined => {
  if (told === undefined) return new AppError("CATCHING_UP", "Not all partitions could be asked; ask again.");
  return isKnown(told) ? told.doubt : told;
};

const isElsewhere = (error: AppError): boolean => error.code === "PARTITION_ELSEWHERE";

const askElsewhere = (orderId: string, home: number | undefined, elsewhere: readonly number[]): AppError => {
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
const begunLate = (told: ToldOrder): string => {
  const late = inOrder(told).flatMap(([partition, known]) =>
    isKnown(known) && known.startedAt > 0 ? [`partition ${partition} from offset ${known.startedAt} on`] : [],
  );
  return late.length === 0 ? "" : ` What the log had lost before is not known here: ${late.join(", ")} was read.`;
};

const inOrder = (told: ToldOrder) => [...told].toSorted(([a], [b]) => a - b);

/** A partition that has a row of an order. */
export interface OrderRowPlace {
  readonly partition: number;
  /** All that its owner has applied comes before this offset. */
  readonly endOffset: number;
  readonly isCreated: boolean;
}

/**
 * The partitions that have a row of the order, beginning with the one that details are answered from. There may be more
 * than one if several programs created the order, or if some of its updates went to another partition.
 */
export const placesIn = (told: ToldOrder, home: number | undefined): OrderRowPlace[] =>
  inOrder(told)
    .flatMap(([partition, known]) =>
      isKnown(known) && known.hasRow ? [{ partition, endOffset: known.nextOffset, isCreated: known.details !== undefined }] : [],
    )
    .toSorted((a, b) => rank(a, home) - rank(b, home));

const rank = ({ partition, isCreated }: OrderRowPlace, home: number | undefined): number =>
  (isCreated ? 0 : 2) + (partition === home ? 0 : 1);
