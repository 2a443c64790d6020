/**
 * What the log means, said once more, slowly and in the open. It shares no code with src, so that a mistake there is not made here too.
 * It reads what the simulation's programs write, and takes their word for what is poison.
 */
export interface LoggedRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string;
}

export interface ReferenceOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly createdBy: string;
  readonly orderDate: string;
  /** Id, quantity and price in hundredths of each. */
  readonly items: readonly (readonly [string, number, number])[];
  readonly total_hundredths: number;
  readonly currency: string;
  status: string;
}

export interface ReferencePartition {
  readonly orders: Map<string, ReferenceOrder>;
  /** Known from updates alone. */
  readonly heldOnly: Set<string>;
  /** The statuses that wait, by order. */
  readonly held: Map<string, string[]>;
  /** Key and id of each event that counted. */
  readonly counted: Set<string>;
  /** Offsets of the records that are dead letters. */
  readonly dead: number[];
}

const HELD_MAX = 100;

export function foldPartition(records: readonly LoggedRecord[]): ReferencePartition {
  const orders = new Map<string, ReferenceOrder>();
  const held = new Map<string, string[]>();
  const counted = new Set<string>();
  const dead: number[] = [];
  for (const { offset, key, value } of records) {
    if (value.startsWith("POISON")) {
      dead.push(offset);
      continue;
    }
    const event = JSON.parse(value) as {
      event_id: string;
      event_type: string;
      order_id: string;
      status?: string;
      order?: {
        customer_id: string;
        order_date: string;
        items: { item_id: string; quantity: number; price: number }[];
        total_amount: number;
        currency: string;
        status: string;
      };
    };
    const once = `${key} ${event.event_id}`;
    if (counted.has(once)) continue;
    const order = orders.get(key);
    if (event.event_type === "ORDER_CREATED") {
      if (order || !event.order) continue;
      counted.add(once);
      const { customer_id, order_date, items, total_amount, currency, status } = event.order;
      const created = {
        orderId: key,
        customerId: customer_id,
        createdBy: event.event_id,
        orderDate: order_date,
        items: items.map(({ item_id, quantity, price }) => [item_id, quantity, Math.round(price * 100)] as const),
        total_hundredths: Math.round(total_amount * 100),
        currency,
        status,
      };
      for (const early of held.get(key) ?? []) created.status = early;
      held.delete(key);
      orders.set(key, created);
    } else if (order) {
      counted.add(once);
      order.status = event.status ?? "";
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
