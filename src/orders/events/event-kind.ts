import type { TProperties, TSchema } from "@sinclair/typebox";
import type { Created, Order, OrderWithoutItems } from "../order.ts";
import type { Outcome } from "../outcomes.ts";
import type { Fields } from "./fields.ts";
import type { Poison } from "./poison.ts";
import type { Layout } from "./scan/layout.ts";
import type { MembersScan, ScannedEvent } from "./scan/scanned-event.ts";

/** The fields that every event has. */
export interface EventHead {
  /** The id by which an event counts once per order: 1 to ID_CHARS_MAX characters without control characters. */
  readonly eventId: string;
  /** An RFC 3339 time with a zone. */
  readonly timestamp: string;
  /** `ORD-<digits>`; the record's key, too. */
  readonly orderId: string;
}

/** How a kind of event is read from its bytes; `scan/scanner.ts` says which are taken. */
export interface KindScan<Event> {
  /** Makes what reads the members besides the head in a layout. */
  members(layout: Layout): MembersScan;
  /** The event that was scanned, as `decode` gives it. */
  event(head: EventHead, scanned: ScannedEvent): Event;
}

export interface CreateScan<Event> extends KindScan<Event> {
  /** The order as `order` gives it for the event that was scanned; `created` is what the event says and never changes. */
  order(created: Created, scanned: ScannedEvent): Order;
}

export interface ChangeScan<Event, Change> extends KindScan<Event> {
  /** The change as `change` gives it for the event that was scanned. It may be the same object each time. */
  change(scanned: ScannedEvent): Change;
}

/** All that the system knows about one kind of event; the list of kinds is in `kinds.ts`. */
interface Kind<Event extends EventHead & { readonly type: string }> {
  /** The `event_type` on the wire. */
  readonly type: Event["type"];
  /** The kind's name in the AsyncAPI document. */
  readonly name: string;
  /** A sentence about the kind in the documents. */
  readonly summary: string;
  /** An example of the value's members besides the head. */
  readonly example: Fields;
  /** The JSON Schema of the value's members besides the head. */
  readonly properties: TProperties;
  /** Reads the value's members besides the head. Total: it never throws, whatever they are. */
  decode(head: EventHead, wire: Fields): Event | Poison;
  /** The value's members besides the head, as JSON without the braces. */
  encode(event: Event): string;
  /** The members that a timeline shows for this kind only. */
  show(event: Event): Fields;
  /** The JSON Schema of the members of `show`. */
  readonly shown: TProperties;
  /** The event in a few words for the page; `{member}` stands for a member of `show`, amounts with two decimals. */
  readonly words: string;
}

/** A kind of event that creates an order. Only the first create in the log counts (I4). */
export interface CreateKind<Event extends EventHead & { readonly type: string }> extends Kind<Event> {
  readonly isCreate: true;
  order(event: Event): Order;
  /** How the members besides the head are read from their bytes. Without it, each event of the kind is decoded. */
  readonly scan?: CreateScan<Event>;
}

/** A kind of event that changes an order. An event that comes before the create is held until then (I5). */
export interface ChangeKind<
  Event extends EventHead & { readonly type: string },
  Change extends { readonly type: Event["type"] },
> extends Kind<Event> {
  readonly isCreate: false;
  /** The part of the event that its order needs, which is all that is kept of a held one. */
  change(event: Event): Change;
  /**
   * The outcome of a change that the order refuses, so that its event does not count; undefined where the order takes
   * it. It sees the order without its items, since a timeline that resumes from a cursor has no more. A refused change
   * that was held is skipped.
   */
  refusal?(order: OrderWithoutItems, change: Change): Outcome | undefined;
  /** Returns the changed order and does not modify `order`. */
  apply(order: Order, change: Change): Order;
  /** How the members besides the head are read from their bytes. Without it, each event of the kind is decoded. */
  readonly scan?: ChangeScan<Event, Change>;
  /**
   * Writes a held change as one word without white space, for rows, digests and operators' answers. The words must
   * never change, and no two kinds may write the same one.
   */
  writeWord(change: Change): string;
  /** The JSON Schema of the words. */
  readonly wordSchema: TSchema;
  /** The change that the word stands for; undefined where another kind writes it. */
  readWord(word: string): Change | undefined;
}
