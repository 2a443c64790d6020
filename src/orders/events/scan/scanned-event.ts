import type { Identified } from "../../event-ids.ts";
import { ITEMS_MAX } from "../../order.ts";
import { Uuid } from "./uuid.ts";

const ITEMS_FIRST = 16;

/** The items of a scanned create, by their index: the first `count` elements of each array. */
export class ScannedItems {
  count = 0;
  idFrom = new Int32Array(ITEMS_FIRST);
  idTo = new Int32Array(ITEMS_FIRST);
  quantity = new Int32Array(ITEMS_FIRST);
  price_hundredths = new Float64Array(ITEMS_FIRST);

  /** Adds an item; false where there are ITEMS_MAX already. */
  add(idFrom: number, idTo: number, quantity: number, price_hundredths: number): boolean {
    const at = this.count;
    if (at === ITEMS_MAX) return false;
    if (at === this.idFrom.length) this.#grow();
    this.idFrom[at] = idFrom;
    this.idTo[at] = idTo;
    this.quantity[at] = quantity;
    this.price_hundredths[at] = price_hundredths;
    this.count = at + 1;
    return true;
  }

  #grow(): void {
    const length = Math.min(this.idFrom.length * 4, ITEMS_MAX);
    this.idFrom = longer(this.idFrom, new Int32Array(length));
    this.idTo = longer(this.idTo, new Int32Array(length));
    this.quantity = longer(this.quantity, new Int32Array(length));
    this.price_hundredths = longer(this.price_hundredths, new Float64Array(length));
  }
}

function longer<A extends Int32Array | Float64Array>(from: A, to: A): A {
  to.set(from);
  return to;
}

/**
 * What an event says, as positions in its record's bytes and as numbers. One object stands for one event after the
 * other, so that none is allocated; what is to outlast the next scan is copied. After a scan that took nothing, it
 * means nothing. Positions are [from, to) in `bytes`.
 */
export class ScannedEvent implements Identified {
  bytes: Buffer = Buffer.alloc(0);
  view: DataView = new DataView(this.bytes.buffer, this.bytes.byteOffset, 0);

  /** The index of the kind in EVENT_KINDS. */
  kind = 0;
  /** The id, which is printable ASCII without quotes and backslashes. */
  eventIdFrom = 0;
  eventIdTo = 0;
  /** Whether the id is a UUID in lower case, which then is in `eventUuid`. */
  isUuid = false;
  readonly eventUuid: Uuid = new Uuid();
  /** A date and time that may lack its zone. */
  timestampFrom = 0;
  timestampTo = 0;
  /** The digits of the order id, and its key, which every scanned event has. */
  orderDigitsFrom = 0;
  orderDigitsTo = 0;
  orderKey = 0;

  /** The index in STATUSES. */
  status = 0;

  /** What only a create has. Its texts are printable ASCII without quotes and backslashes. */
  customerIdFrom = 0;
  customerIdTo = 0;
  orderDateFrom = 0;
  orderDateTo = 0;
  /** Whether the order date is UTC without saying so; as text, it gets a `Z`. */
  lacksZone = false;
  readonly items: ScannedItems = new ScannedItems();
  total_hundredths = 0;
  /** The first of the three letters. */
  currencyFrom = 0;

  /** Points to other bytes. */
  read(bytes: Buffer): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get uuid(): Uuid | undefined {
    return this.isUuid ? this.eventUuid : undefined;
  }

  get eventId(): string {
    return this.text(this.eventIdFrom, this.eventIdTo);
  }

  text(from: number, to: number): string {
    return this.bytes.toString("latin1", from, to);
  }
}

/** Reads the members besides the head, of one kind in one layout. */
export interface MembersScan {
  /**
   * Whether the bytes [at, to), from the quote behind the order id to the end of the value, are members in the layout
   * that the decoder takes; `event` then says them. It reads no other bytes but those that `event` has positions of.
   */
  scan(event: ScannedEvent, at: number, to: number): boolean;
}
