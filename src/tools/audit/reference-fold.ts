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
  /** The ids of the events that counted. */
  readonly eventIds: Set<string>;
}

/** The bound on held updates (decision 2, I5), repeated here so that the audit notices if HELD_UPDATES_MAX changes. */
const HELD_MAX = 100;

/**
 * Folds one partition's records independently of the order service's fold and storage, so that an audit can check what
 * the services hold. It shares with them only how a record is decoded (`orders/events/`) and what a digest is.
 */
export class ReferenceFold {
  readonly orders = new Map<string, ReferenceOrder>();
  /** Records that change nothing are dead letters, or are ignored: duplicates and creates of an order that exists. */
  deadLetters = 0;
  ignored = 0;

  apply(record: LogRecord): void {
    // A batch that cannot be decoded is one dead letter, whatever it holds.
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

  /** Applies an event whose id did not count before. Returns whether the event counts. */
  #counts(one: ReferenceOrder, event: OrderEvent): boolean {
    switch (event.type) {
      case "ORDER_CREATED": {
        if (one.order) {
          this.ignored++;
          return false;
        }
        const { status, ...created } = event.order;
        let order: Order = { created, status };
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
