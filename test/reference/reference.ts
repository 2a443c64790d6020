/**
 * What the log means, written once more, slowly and plainly. It shares no code with src, so a mistake there is not
 * repeated here. It reads what the programs of the simulation and the soak write, and trusts them about what is
 * poison.
 */
export interface LoggedRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string;
  /** The client's operation that the record comes from, if the record says so. */
  readonly operation?: string | undefined;
  readonly isPoison: boolean;
}

/** An order, as `GET /order-details` shows it. */
export interface ReferenceOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly orderDate: string;
  readonly items: readonly { readonly itemId: string; readonly quantity: number; readonly price: number }[];
  readonly totalAmount: number;
  readonly shippingCost: number;
  readonly currency: string;
  status: string;
  /** The record of its first create. */
  readonly createdBy: LoggedRecord;
  /** Each status that the order had, and the offset from which on it had it. */
  readonly statuses: { readonly offset: number; readonly status: string }[];
}

export interface ReferencePartition {
  readonly orders: Map<string, ReferenceOrder>;
  /** The orders known only from updates. */
  readonly heldOnly: Set<string>;
  /** The statuses that wait for the create, by order. */
  readonly held: Map<string, string[]>;
  /** The key and the id of each event that counted. */
  readonly counted: Set<string>;
  /** Offsets of the records that are dead letters. */
  readonly dead: number[];
}

export interface WireEvent {
  readonly event_id: string;
  readonly event_type: string;
  readonly order_id: string;
  readonly status?: string;
  readonly order?: WireOrder;
}

interface WireOrder {
  readonly customer_id: string;
  readonly order_date: string;
  readonly items: readonly { readonly item_id: string; readonly quantity: number; readonly price: number }[];
  readonly total_amount: number;
  readonly currency: string;
  readonly status: string;
}

const HELD_MAX = 100;
const KNOWN_TYPES = ["ORDER_CREATED", "ORDER_STATUS_UPDATED"];

export function foldPartition(records: readonly LoggedRecord[]): ReferencePartition {
  const orders = new Map<string, ReferenceOrder>();
  const held = new Map<string, string[]>();
  const counted = new Set<string>();
  const dead: number[] = [];
  for (const record of records) {
    const { offset, key, value, isPoison } = record;
    if (isPoison) {
      dead.push(offset);
      continue;
    }
    const event = JSON.parse(value) as WireEvent;
    const once = `${key} ${event.event_id}`;
    if (counted.has(once)) continue;
    const order = orders.get(key);
    // A kind that is not known here would else be taken for another one.
    if (!KNOWN_TYPES.includes(event.event_type)) throw new Error(`This reference does not know ${event.event_type}.`);
    if (event.event_type === "ORDER_CREATED") {
      if (order || !event.order) continue;
      counted.add(once);
      const created = createdOrder(key, event.order, record);
      for (const early of held.get(key) ?? []) created.status = early;
      created.statuses.push({ offset, status: created.status });
      held.delete(key);
      orders.set(key, created);
    } else if (order) {
      counted.add(once);
      order.status = event.status ?? "";
      order.statuses.push({ offset, status: order.status });
    } else {
      const waiting = held.get(key) ?? [];
      if (waiting.length >= HELD_MAX) {
        dead.push(offset);
        continue;
      }
      counted.add(once);
      held.set(key, [...waiting, event.status ?? ""]);
    }
  }
  return { orders, heldOnly: new Set(held.keys()), held, counted, dead };
}

function createdOrder(orderId: string, wire: WireOrder, createdBy: LoggedRecord): ReferenceOrder {
  const total = hundredths(wire.total_amount);
  return {
    orderId,
    customerId: wire.customer_id,
    orderDate: /(Z|[+-]\d\d:\d\d)$/.test(wire.order_date) ? wire.order_date : `${wire.order_date}Z`,
    items: wire.items.map(({ item_id, quantity, price }) => ({ itemId: item_id, quantity, price: hundredths(price) / 100 })),
    totalAmount: total / 100,
    shippingCost: Math.floor((total * 2 + 50) / 100) / 100,
    currency: wire.currency,
    status: wire.status,
    createdBy,
    statuses: [],
  };
}

/** Rounds half up, by the digits as they are written. */
function hundredths(amount: number): number {
  const [whole = "0", fraction = ""] = String(amount).split(".");
  const digits = fraction.padEnd(3, "0");
  return Number(whole) * 100 + Number(digits.slice(0, 2)) + (digits.charAt(2) >= "5" ? 1 : 0);
}
