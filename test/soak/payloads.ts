import type { Message } from "kafkajs";
import { pythonUpdate } from "../support/events/python-events.ts";
import { pick } from "../support/random.ts";

export const STATUSES = ["new", "pending", "confirmed", "processing", "shipped", "cancelled"] as const;
const CURRENCIES = ["USD", "EUR", "GBP", "JPY", "BRL"] as const;
const ITEMS_MAX = 5;

type Random = () => number;

const upTo = (most: number, random: Random): number => 1 + Math.floor(random() * most);

/**
 * The body of a create. Half of them are demo carts, half have items of their own; ids and field names come in each
 * spelling that a client may use.
 */
export function createBody(orderId: string, operation: number, random: Random): object {
  const count = upTo(ITEMS_MAX, random);
  if (random() < 0.5) return { order_id: orderId.slice("ORD-".length), number_of_items: count };
  const items = Array.from({ length: count }, (_, i) => ({
    itemId: `ITEM-${operation}-${i}`,
    quantity: upTo(9, random),
    price: upTo(100_000, random) / 100,
  }));
  return { orderId, customerId: `CUST-${operation}`, currency: pick(random, CURRENCIES), items };
}

/** The key and value of a record that is not an event, of one of nine kinds. */
export function poison(key: string, random: Random): Pick<Message, "key" | "value"> {
  const update = pythonUpdate(key, "shipped");
  const values: readonly (string | Buffer | null)[] = [
    `no JSON ${random()}`,
    update.slice(0, -1),
    Buffer.from([0x7b, 0xff, 0xfe, upTo(255, random), 0x7d]),
    "[1]",
    update.replace("ORDER_STATUS_UPDATED", "ORDER_LOST"),
    update.replaceAll(key, `${key}0`),
    "",
    null,
    pythonUpdate(key, "lost"),
  ];
  return { key: random() < 0.1 ? null : key, value: pick(random, values) };
}
