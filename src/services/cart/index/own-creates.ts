import type { LogPosition } from "../../../log/log-position.ts";
import type { LogRecord } from "../../../log/port.ts";
import { nameOf, type OrderName } from "../../../orders/order-key.ts";
import type { IndexEntry } from "./index-record.ts";
import { isEncodedEvent } from "../../../orders/events/encode.ts";

/** Where a create is in the log, and which leader acknowledged it. */
interface Acknowledged extends LogPosition {
  readonly leaderEpoch: number;
}

/** A create of this cart, from before it is sent until the index has committed it. */
export interface OwnCreate {
  readonly orderId: string;
  readonly name: OrderName;
  readonly eventId: string;
  /** The length of its value in characters. */
  readonly chars: number;
  /** Undefined until it is acknowledged. */
  position: Acknowledged | undefined;
  /** Whether the index has read another create of the order in the meantime. */
  contended: boolean;
}

const ESCAPE = 0x5c;

/**
 * This cart's creates that its index does not hold yet. They are known before they are read: whether an order exists
 * is answered from here. Where the log gives records one by one, one that is read back is recognised by its order, event
 * id and length instead of being decoded again. Only those of as many bytes as characters and without escapes are
 * recognised: anything in a client's text that a decoder could refuse would be escaped or lie beyond ASCII.
 *
 * ```
 *  begin() ─▶ in flight ─noteAcknowledged()─▶ acknowledged ─forgetRead()─▶ (none)
 *                 └──────────── end() ─────────────────────────────────────▶ (none)
 * ```
 */
export class OwnCreates {
  readonly #byOrder = new Map<OrderName, OwnCreate>();
  /** The acknowledged creates, in the order in which they were acknowledged. */
  #acknowledged: OwnCreate[] = [];

  /**
   * Undefined if another create of the order is here already: that one is first, and this one is looked up after it is
   * appended.
   */
  begin(orderId: string, eventId: string, value: string): OwnCreate | undefined {
    const name = nameOf(orderId);
    if (this.#byOrder.has(name)) return undefined;
    const create: OwnCreate = { orderId, name, eventId, chars: value.length, position: undefined, contended: false };
    this.#byOrder.set(name, create);
    return create;
  }

  /** Notes where the create is in the log; from now on `find` returns it. */
  noteAcknowledged(create: OwnCreate, position: Acknowledged): void {
    create.position = position;
    this.#acknowledged.push(create);
  }

  /** Forgets a create that was not acknowledged, or for which the index answers. */
  end(create: OwnCreate): void {
    if (create.position === undefined) this.#byOrder.delete(create.name);
  }

  /** The order's create, if it has been acknowledged. */
  find(orderId: string): (Acknowledged & { readonly eventId: string }) | undefined {
    const create = this.#byOrder.get(nameOf(orderId));
    return create?.position && { ...create.position, eventId: create.eventId };
  }

  /** The own create that this record holds, if it holds one. */
  recognise({ key, value }: LogRecord): OwnCreate | undefined {
    if (this.#byOrder.size === 0 || key === null || value === null) return undefined;
    const create = this.#byOrder.get(nameOf(key.toString("latin1")));
    const isOwn = create?.chars === value.length && isEncodedEvent(value, create.eventId) && !value.includes(ESCAPE);
    return isOwn ? create : undefined;
  }

  /** Notes that the index has read this create of an order, which is before any own one that is in flight (I8). */
  noteRead(name: OrderName, entry: IndexEntry): void {
    if (this.#byOrder.size === 0) return;
    const create = this.#byOrder.get(name);
    if (create && !entry.isOf(create.eventId)) create.contended = true;
  }

  /** Forgets the creates that the index has committed. Returns how many acknowledged creates remain. */
  forgetRead(nextOffset: (partition: number) => number): number {
    let read = 0;
    for (const { name, position } of this.#acknowledged) {
      if (position && position.offset >= nextOffset(position.partition)) break;
      this.#byOrder.delete(name);
      read++;
    }
    if (read > 0) this.#acknowledged = this.#acknowledged.slice(read);
    return this.#acknowledged.length;
  }
}
