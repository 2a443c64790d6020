import { AppError } from "../../../errors.ts";
import type { HopRequest } from "../../../fleet/hops.ts";
import { errorOf, goodJson, type ToldError } from "../../../fleet/peer-problem.ts";
import type { PeerAnswer } from "../../../fleet/peer-transport.ts";
import type { ReadUpTo } from "./coverage.ts";
import type { IndexedOrder, KeyedEvent } from "../index/index-projection.ts";

/** What carts ask each other about an order. */
export interface IndexQuestion {
  readonly orderId: string;
  /** The event id of the request's idempotency key, if it has one. */
  readonly eventId: string | undefined;
  /** The partitions that must be read to the log's end before the answer. */
  readonly toEnd: readonly number[];
}

/** What the index of one partition has of it. */
export interface FoundInIndex {
  readonly order?: IndexedOrder | undefined;
  /** See `IndexView.keyedEvent`. */
  readonly keyed?: KeyedEvent | undefined;
  /** Whether the index is halted, and another one of the partition may have what it lacks. */
  readonly mayLack?: boolean | undefined;
}

export type ToldIndex = ReadonlyMap<number, FoundInIndex | AppError>;

export const INDEX_QUESTION_PATH = "/fleet/index";

/** `from` says how far each of the partitions must have been read, and of which leader. */
export function indexQuestionRequest(
  { orderId, eventId, toEnd }: IndexQuestion,
  partitions: readonly number[],
  from: (partition: number) => ReadUpTo,
): HopRequest {
  const upTo = partitions.map(from);
  const query = new URLSearchParams({
    partitions: partitions.join(","),
    from: upTo.map(({ offset }) => offset).join(","),
    epochs: upTo.map(({ leaderEpoch }) => leaderEpoch).join(","),
  });
  const ends = partitions.filter((partition) => toEnd.includes(partition));
  if (ends.length > 0) query.set("ends", ends.join(","));
  if (eventId !== undefined) query.set("event", eventId);
  return { path: `${INDEX_QUESTION_PATH}/${orderId}?${query.toString()}` };
}

/** One partition in the answer. JSON leaves out what is undefined. */
type ToldPartition = { readonly partition: number } & (FoundInIndex | { readonly error: ToldError });

export const writeToldIndex = (told: ToldIndex): string =>
  JSON.stringify({
    told: [...told].map(([partition, found]): ToldPartition => {
      if (!(found instanceof AppError)) return { partition, ...found };
      const { code, message: detail, extra } = found;
      return { partition, error: { code, detail, extra } };
    }),
  });

/** Throws if the answer is a problem or no such answer. */
export function readToldIndex(answer: PeerAnswer): ToldIndex {
  const { told } = goodJson(answer) as { readonly told: readonly ToldPartition[] };
  return new Map(
    told.map((one): [number, FoundInIndex | AppError] => {
      if ("error" in one) return [one.partition, errorOf(one.error)];
      const { partition, order, keyed, mayLack } = one;
      return [partition, { order, keyed, mayLack }];
    }),
  );
}
