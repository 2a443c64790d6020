import type { LogRecord } from "../../log/port.ts";
import { createdFact, digestSum, eventFact, formatDigest, heldFact, statusFact } from "../../orders/digest.ts";
import { decodeEvent, isPoison } from "../../orders/event.ts";
import type { Order, Status } from "../../orders/order.ts";

export interface ReferenceOrder {
  readonly orderId: string;
  order: Order | undefined;
  /** Statuses that wait for the create, in log order. */
  held: Status[];
  /** Of the events that counted. */
  readonly eventIds: Set<string>;
}

/** As decision 2 and design invariant 5 have it; said here once more, so that a change there is noticed. */
const HELD_MAX = 100;

/**
 * What one partition's log means, folded once more, record by record and without any of the order service's fold or storage: with it an
 * audit holds what the services have. It shares with them how a record's bytes are read (`orders/event.ts`) and what a digest is.
 */
export class ReferenceFold {
  readonly orders = new Map<string, ReferenceOrder>();
  /** Records that count for nothing: dead letters, and events that counted before or came too late to create. */
  deadLetters = 0;
  ignored = 0;

  apply(record: LogRecord): void {
    // One letter for a batch that cannot be decoded, whatever it holds.
    if (record.undecodable) {
      this.deadLetters++;
      return;
    }
    const event = decodeEvent(record.key, record.value);
    if (isPoison(event)) {
      this.deadLetters++;
      return;
    }
    const one = this.orders.get(event.orderId) ?? {
      orderId: event.orderId,
      order: undefined,
      held: [],
      eventIds: new Set<string>(),
    };
    this.orders.set(event.orderId, one);
    if (one.eventIds.has(event.eventId) || (event.type === "ORDER_CREATED" && one.order)) {
      this.ignored++;
      return;
    }
    if (event.type === "ORDER_CREATED") {
      const status = one.held.at(-1) ?? event.order.status;
      one.order = { ...event.order, status };
      one.held = [];
    } else if (one.order) {
      one.order = { ...one.order, status: event.status };
    } else if (one.held.length < HELD_MAX) {
      one.held.push(event.status);
    } else {
      this.deadLetters++;
      return;
    }
    one.eventIds.add(event.eventId);
  }

  digest(): string {
    let digest = 0;
    for (const { orderId, order, held, eventIds } of this.orders.values()) {
      if (order) digest = digestSum(digestSum(digest, createdFact(order)), statusFact(orderId, order.status));
      digest = digestSum(digest, heldFact(orderId, held));
      for (const eventId of eventIds) digest = digestSum(digest, eventFact(orderId, eventId));
    }
    return formatDigest(digest);
  }
}
