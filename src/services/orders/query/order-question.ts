import { type AppError, isAppError } from "../../../errors.ts";
import type { HopRequest } from "../../../fleet/hops.ts";
import { errorOf, goodJson, type ToldError, toldError } from "../../../fleet/peer-problem.ts";
import type { PeerAnswer } from "../../../fleet/peer-transport.ts";
import { formatLogPosition, type LogPosition } from "../../../log/log-position.ts";
import { isKnown, type KnownOrder, type ToldOrder } from "./known-order.ts";

/** What order services ask each other about one order. */
export interface OrderQuestion {
  readonly orderId: string;
  /** Where the partitioner puts the order. */
  readonly home: number | undefined;
  /** The position that the answer about its partition waits for. */
  readonly position: LogPosition | undefined;
  /** Whether every partition must tell all it has, also once the order's create is found. */
  readonly isWhole: boolean;
  /** Whether an order is told, and marked, that may not be as it is now. */
  readonly mayBeStale: boolean;
}

export const ORDER_QUESTION_PATH = "/fleet/orders";

export const orderQuestionRequest = (
  { orderId, home, position, isWhole, mayBeStale }: OrderQuestion,
  partitions: readonly number[],
): HopRequest => {
  const query = new URLSearchParams({ partitions: partitions.join(",") });
  if (home !== undefined) query.set("home", String(home));
  if (isWhole) query.set("whole", "true");
  if (mayBeStale) query.set("stale", "true");
  const isWaited = position !== undefined && partitions.includes(position.partition);
  return {
    path: `${ORDER_QUESTION_PATH}/${orderId}?${query.toString()}`,
    ...(isWaited ? { headers: { "log-position": formatLogPosition(position) } } : {}),
  };
};

/** One partition in the answer. JSON leaves out what is undefined. */
type ToldPartition = { readonly partition: number } & (
  { readonly error: ToldError } | (Omit<KnownOrder, "doubt"> & { readonly doubt?: ToldError | undefined })
);

export const writeToldOrder = (told: ToldOrder): string =>
  JSON.stringify({
    told: [...told].map(([partition, known]): ToldPartition =>
      isKnown(known)
        ? { partition, ...known, doubt: known.doubt && toldError(known.doubt) }
        : { partition, error: toldError(known) },
    ),
  });

/** Throws if the answer is a problem or no such answer. */
export function readToldOrder(answer: PeerAnswer): Map<number, KnownOrder | AppError> {
  const { told } = goodJson(answer) as { readonly told: readonly ToldPartition[] };
  return new Map(told.map((one) => [one.partition, "error" in one ? errorOf(one.error) : knownOf(one)]));
}

function knownOf(told: Exclude<ToldPartition, { error: ToldError }>): KnownOrder {
  const { nextOffset, startedAt, hasRow, details, doubt, stale } = told;
  // A partition counts towards a 404 only if its owner says so in full.
  if (typeof hasRow !== "boolean" || typeof nextOffset !== "number") throw new Error("it lacks what every partition tells");
  if (stale !== undefined && typeof stale.age_ms !== "number") throw new Error("it does not tell how old it is");
  return { nextOffset, startedAt, hasRow, details, doubt: doubt && errorOf(doubt), stale };
}

/** The error as an answer to a part of a question. Anything but an AppError is a defect, and is thrown. */
export const toldOr = <T>(tell: () => T): T | AppError => {
  try {
    return tell();
  } catch (e) {
    if (isAppError(e)) return e;
    throw e;
  }
};
