import { unreachable } from "../../errors.ts";
import type { LogRecord } from "../../log/port.ts";
import { digestOf } from "../../orders/digest.ts";
import { decodeEvent } from "../../orders/events/decode.ts";
import type { Change, OrderEvent } from "../../orders/events/kinds.ts";
import { isPoison } from "../../orders/events/poison.ts";
import type { Order } from "../../orders/order.ts";

export interface ReferenceOrder {
  readonly orderId: string;
  order: Order | undefined;
  /** Changes that wait for the create, in log order. */
  held: Change[];
  /** Of the events that counted. */
  readonly eventIds: Set<string>;
}

/** As decision 2 and design invariant 5 have it; said here once more, so that a change there is noticed. */
const HELD_MAX = 100;

/**
 * What one partition's log means, folded once more, record by record and without any of the order service's fold or storage:
 * with it an audit holds what the services have. It shares with them how a record's bytes are read (`orders/events/`) and
 * what a digest is.
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
    const { orderId, eventId } = event;
    const one = this.orders.get(orderId) ?? { orderId, order: undefined, held: [], eventIds: new Set<string>() };
    this.orders.set(orderId, one);
    if (one.eventIds.has(eventId)) this.ignored++;
    else if (this.#counts(one, event)) one.eventIds.add(eventId);
  }

  /** Applies an event that did not count before. Returns whether it counts. */
  #counts(one: ReferenceOrder, event: OrderEvent): boolean {
    switch (event.type) {
      case "ORDER_CREATED": {
        if (one.order) {
          this.ignored++;
          return false;
        }
        let order = event.order;
        for (const change of one.held) order = changed(order, change);
        one.order = order;
        one.held = [];
        return true;
      }
      case "ORDER_STATUS_UPDATED":
        return this.#changes(one, event);
      default:
        return unreachable(event);
    }
  }

  #changes(one: ReferenceOrder, change: Change): boolean {
    if (one.order) {
      one.order = changed(one.order, change);
    } else if (one.held.length < HELD_MAX) {
      one.held.push(change);
    } else {
      this.deadLetters++;
      return false;
    }
    return true;
  }

  digest(): string {
    return digestOf(this.orders.values());
  }
}

function changed(order: Order, change: Change): Order {
  switch (change.type) {
    case "ORDER_STATUS_UPDATED":
      return { ...order, status: change.status };
    default:
      return unreachable(change.type);
  }
}
