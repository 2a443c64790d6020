import { AppError, isAppError } from "../../../errors.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { IndexedOrder, KeyedEvent } from "../index/index-projection.ts";

/** Returns `first` if the request with this fingerprint made it; throws otherwise. */
export function requireSameRequest(first: KeyedEvent, fingerprint: string | undefined): KeyedEvent {
  if (first.fingerprint === fingerprint) return first;
  throw new AppError(
    "IDEMPOTENCY_KEY_REUSED",
    "This Idempotency-Key was used for another request; take a new key for a new request.",
  );
}

const unread = (orderId: string, cause?: unknown): AppError =>
  new AppError(
    "APPEND_OUTCOME_UNKNOWN",
    `The event of ${orderId} was appended, but whether it counts could not be read. Try again with the same Idempotency-Key; without one, look before you retry.`,
    {},
    cause,
  );

export function throwUnread(orderId: string): never {
  throw unread(orderId);
}

export function firstOr409(orderId: string, eventId: string, first: IndexedOrder | undefined): LogPosition {
  if (first?.eventId !== eventId) throw orderExists(orderId);
  return { partition: first.partition, offset: first.offset };
}

export const orderExists = (orderId: string) => new AppError("ORDER_EXISTS", `The order ${orderId} exists already.`, { orderId });

/** Reads the index about an event that is appended. What keeps it from that leaves open whether the event counts (I9). */
export function readAppended<T>(orderId: string, read: () => T): T {
  try {
    return read();
  } catch (e) {
    throw isAppError(e) ? unread(orderId, e) : e;
  }
}
