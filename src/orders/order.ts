import type { OrderEvent } from "./event.ts";

export const STATUSES = ["new", "pending", "confirmed", "processing", "shipped", "cancelled"] as const;
export type Status = (typeof STATUSES)[number];

/** The currencies a cart may ask for. A foreign event may carry any three letters; money has two decimals in each. */
export const CURRENCIES = ["USD", "EUR", "GBP", "JPY", "KRW", "CNY", "INR", "BRL", "MXN", "ARS", "COP"] as const;
export type Currency = (typeof CURRENCIES)[number];

export const ITEMS_MAX = 1_000;
export const QUANTITY_MAX = 1_000_000;
/** Of an event id, a customer id and an item id, in UTF-16 code units. */
export const ID_CHARS_MAX = 128;
/** Held updates per order. A constant and never a setting: the state is a function of the log alone. */
export const HELD_UPDATES_MAX = 100;
/** Why an update beyond that is a dead letter. */
export const HELD_OVERFLOW = "held_overflow";

export const isStatus = (value: unknown): value is Status => (STATUSES as readonly unknown[]).includes(value);

/**
 * A customer's or an item's id in an event: 1 to ID_CHARS_MAX characters. Half a surrogate pair is refused: it has no UTF-8, so it would
 * come back from a store as another string.
 */
export const isName = (value: unknown): value is string =>
  typeof value === "string" && value.length >= 1 && value.length <= ID_CHARS_MAX && value.isWellFormed();

/** Well-formed text, as isName wants it, for a schema. It means the same with and without the flag `u`, which validators differ in. */
export const NAME_PATTERN = "^(?:[^\\ud800-\\udfff]|[\\ud800-\\udbff][\\udc00-\\udfff])*$";

/** A name without control characters, as isEventId wants it. The cart asks it of every id that a client makes up. */
export const PLAIN_NAME_PATTERN = "^(?:[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]|[\\ud800-\\udbff][\\udc00-\\udfff])*$";

/** A name without control characters (Unicode's Cc), so that a list of ids can be one string. */
export function isEventId(value: unknown): value is string {
  if (!isName(value)) return false;
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i);
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f)) return false;
  }
  return true;
}

export interface Item {
  readonly itemId: string;
  /** An integer, 1 to QUANTITY_MAX. */
  readonly quantity: number;
  readonly price_hundredths: number;
}

export interface Order {
  /** `ORD-<digits>`. */
  readonly orderId: string;
  readonly customerId: string;
  /** RFC 3339 with a zone. */
  readonly orderDate: string;
  /** At most ITEMS_MAX; a foreign event's may be empty. */
  readonly items: readonly Item[];
  /** As the event gives it: a foreign one need not be the sum of its items. */
  readonly total_hundredths: number;
  /** Three capital letters; one of CURRENCIES in an event of ours. */
  readonly currency: string;
  readonly status: Status;
}

/** What a client orders, before it has an id, a date and a total. */
export interface Cart {
  readonly customerId?: string;
  readonly currency: Currency;
  readonly items: readonly Item[];
}

export interface OrderState {
  /** Undefined until its ORDER_CREATED is read. */
  readonly order: Order | undefined;
  /** Statuses of updates that came before the create, in log order. */
  readonly held: readonly Status[];
  /** The ids of the events that counted, oldest first, each between two newlines: `"\n"`, `"\nid1\n"`, `"\nid1\nid2\n"`. */
  readonly eventIds: string;
}

export type Outcome =
  | "created"
  | "updated"
  /** An update before its create: it waits. */
  | "held"
  /** The event's id counted before: nothing changes. */
  | "duplicate"
  /** Another ORDER_CREATED came first: nothing changes and its id is not kept. */
  | "already-created"
  /** The queue of held updates is full: nothing changes and its id is not kept, so that it can be redriven. */
  | "held-overflow";

export interface Evolution {
  readonly state: OrderState;
  readonly outcome: Outcome;
}

export const initialState: OrderState = { order: undefined, held: [], eventIds: "\n" };

const noneBefore = (): boolean => false;

/**
 * Folds one event into its order: total, pure, and `state` is left as it is. The caller may keep only the newest ids in
 * `state.eventIds`; then `seenBefore` tells of the others and is asked only about an id that is not among those.
 */
export function evolve(state: OrderState, event: OrderEvent, seenBefore: (eventId: string) => boolean = noneBefore): Evolution {
  if (state.eventIds.includes(`\n${event.eventId}\n`) || seenBefore(event.eventId)) return { state, outcome: "duplicate" };
  const { order, held } = state;
  if (event.type === "ORDER_CREATED") {
    if (order !== undefined) return { state, outcome: "already-created" };
    const status = held.length === 0 ? undefined : held[held.length - 1];
    const created = status === undefined ? event.order : withStatus(event.order, status);
    return {
      state: { order: created, held: initialState.held, eventIds: `${state.eventIds}${event.eventId}\n` },
      outcome: "created",
    };
  }
  if (order !== undefined) {
    const updated = withStatus(order, event.status);
    return { state: { order: updated, held, eventIds: `${state.eventIds}${event.eventId}\n` }, outcome: "updated" };
  }
  if (held.length >= HELD_UPDATES_MAX) return { state, outcome: "held-overflow" };
  return {
    state: { order, held: [...held, event.status], eventIds: `${state.eventIds}${event.eventId}\n` },
    outcome: "held",
  };
}

const withStatus = (order: Order, status: Status): Order => ({
  orderId: order.orderId,
  customerId: order.customerId,
  orderDate: order.orderDate,
  items: order.items,
  total_hundredths: order.total_hundredths,
  currency: order.currency,
  status,
});
