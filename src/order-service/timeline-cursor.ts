import { type OrderState, initialState, STATUSES, type Status, type Order } from "../orders/order.ts";

/**
 * Where an order's timeline goes on, and what its events before that made of it, so that what becomes of the next one can be told without
 * reading them again. It is the client's to carry: nothing is kept here for it, and any instance can go on. It is not signed, since who
 * changes it deceives nobody else.
 */
export interface TimelineCursor {
  readonly partition: number;
  readonly offset: number;
  /** Its order holds nothing true but its status. */
  readonly state: OrderState;
  /** Of the ids of the events that counted, 48 bits each: among 1,000 ids the odds of two alike are one in 500 million. */
  readonly counted: ReadonlySet<number>;
}

/** A cursor goes into a URL, and Bun takes 16 KiB of those. */
export const TIMELINE_EVENTS_MAX = 1_000;
const HASH_BYTES = 6;

export const eventIdHash = (eventId: string): number => Number(BigInt.asUintN(HASH_BYTES * 8, Bun.hash.xxHash64(eventId)));

/** `3.1712.2..Ab3d…`: partition, offset, the order's status by its number (nothing: not created), those held, the ids' hashes. */
export function formatCursor({ partition, offset, state, counted }: TimelineCursor): string {
  const number = (status: Status) => STATUSES.indexOf(status);
  const hashes = Buffer.alloc(counted.size * HASH_BYTES);
  let at = 0;
  for (const hash of counted) at = hashes.writeUIntBE(hash, at, HASH_BYTES);
  const status = state.order ? number(state.order.status) : "";
  return `${partition}.${offset}.${status}.${state.held.map(number).join("")}.${hashes.toString("base64url")}`;
}

/** Undefined where it is none. */
export function parseCursor(orderId: string, text: string): TimelineCursor | undefined {
  const match = /^([0-9]{1,9})\.([0-9]{1,15})\.([0-5]?)\.([0-5]{0,100})\.([A-Za-z0-9_-]{0,8000})$/.exec(text);
  const [, partition, offset, status, held = "", encoded = ""] = match ?? [];
  const hashes = Buffer.from(encoded, "base64url");
  if (!match || hashes.length % HASH_BYTES !== 0) return undefined;
  const counted = new Set<number>();
  for (let at = 0; at < hashes.length; at += HASH_BYTES) counted.add(hashes.readUIntBE(at, HASH_BYTES));
  const statusOf = (digit: string) => STATUSES[Number(digit)] ?? "new";
  const order = status ? orderOfStatus(orderId, statusOf(status)) : undefined;
  const state = { ...initialState, order, held: Array.from(held, statusOf) };
  return { partition: Number(partition), offset: Number(offset), state, counted };
}

const orderOfStatus = (orderId: string, status: Status): Order => ({
  orderId,
  customerId: "",
  orderDate: "",
  items: [],
  total_hundredths: 0,
  currency: "",
  status,
});
