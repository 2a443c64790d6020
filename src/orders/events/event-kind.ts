import type { TProperties, TSchema } from "@sinclair/typebox";
import type { Order, OrderWithoutItems } from "../order.ts";
import type { Outcome } from "../outcomes.ts";
import type { Fields } from "./fields.ts";
import type { Poison } from "./poison.ts";

/** What every event has. */
export interface EventHead {
  /** 1 to ID_CHARS_MAX characters without control characters. An event counts once per order by it. */
  readonly eventId: string;
  /** RFC 3339 with a zone. */
  readonly timestamp: string;
  /** `ORD-<digits>`; the record's key, too. */
  readonly orderId: string;
}

/** All that the system knows of one kind of event; the list of kinds is in `kinds.ts`. */
interface Kind<Event extends EventHead & { readonly type: string }> {
  /** The `event_type` on the wire. */
  readonly type: Event["type"];
  /** For the documents: its name in AsyncAPI, a sentence about it, and an example of its value beside the head. */
  readonly name: string;
  readonly summary: string;
  readonly example: Fields;
  /** JSON Schema of what the record's value has beside the head. */
  readonly properties: TProperties;
  /** Reads what the record's value has beside the head. Total: it never throws, whatever is in it. */
  decode(head: EventHead, wire: Fields): Event | Poison;
  /** The value's members beside the head, as JSON without the braces. */
  encode(event: Event): string;
  /** What a timeline tells of an event beside what it tells of each, and how that is documented. */
  show(event: Event): Fields;
  readonly shown: TProperties;
  /** The event in a few words on the page; `{member}` stands for a member of `show`, an amount with its two decimals. */
  readonly words: string;
}

/** A kind of event that begins an order. The first in the log counts (I4). */
export interface CreateKind<Event extends EventHead & { readonly type: string }> extends Kind<Event> {
  readonly isCreate: true;
  order(event: Event): Order;
}

/** A kind of event that changes an order; one that comes before the create waits for it (I5). */
export interface ChangeKind<
  Event extends EventHead & { readonly type: string },
  Change extends { readonly type: Event["type"] },
> extends Kind<Event> {
  readonly isCreate: false;
  /** What of the event its order needs: all that is kept of one that waits. */
  change(event: Event): Change;
  /**
   * The outcome of a change that the order does not take; the event then counts for nothing. It sees an order without its
   * items, since a timeline that goes on from a cursor has no more. A change that waited and is not taken is passed over.
   */
  refusal?(order: OrderWithoutItems, change: Change): Outcome | undefined;
  /** The changed order. `order` is left as it is. */
  apply(order: Order, change: Change): Order;
  /**
   * A change that waits, as one word without white space, in a row, a digest and an operator's answer. It must stay as it
   * is for ever, and no two kinds may write the same one.
   */
  writeWord(change: Change): string;
  /** JSON Schema of such a word. */
  readonly wordSchema: TSchema;
  /** Undefined where the word is another kind's. */
  readWord(word: string): Change | undefined;
}
