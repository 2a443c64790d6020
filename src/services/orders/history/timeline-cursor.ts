import { HELD_UPDATES_MAX, initialState, type Order, type OrderState, type Status } from "../../../orders/order.ts";

/**
 * Where an order's timeline goes on, and what its events before that made of it, so that what becomes of the next one can be told without
 * reading them again. It is the client's to carry: nothing is kept here for it, and any instance can go on. It is not signed, since who
 * changes it deceives nobody else.
 */
export interface TimelineCursor {
  readonly partition: number;
  readonly offset: number;
  /** Its order holds nothing true but that it is there, and its held updates nothing but how many there are: no outcome depends on more. */
  readonly state: OrderState;
  /** Of the ids of the events that counted, 48 bits each: among 1,000 ids the odds of two alike are one in 500 million. */
  readonly counted: ReadonlySet<number>;
}

/** A cursor goes into a URL, and Bun takes 16 KiB of those. */
export const TIMELINE_EVENTS_MAX = 1_000;
const HASH_BYTES = 6;

export const eventIdHash = (eventId: string): number => Number(BigInt.asUintN(HASH_BYTES * 8, Bun.hash.xxHash64(eventId)));

/** `3.1712.1.0.Ab3d…`: partition, offset, whether the order is created, how many updates are held, the ids' hashes. */
export function formatCursor({ partition, offset, state, counted }: TimelineCursor): string {
  const hashes = Buffer.alloc(counted.size * HASH_BYTES);
  let at = 0;
  for (const hash of counted) at = hashes.writeUIntBE(hash, at, HASH_BYTES);
  return `${partition}.${offset}.${state.order ? 1 : 0}.${state.held.length}.${hashes.toString("base64url")}`;
}

/** Undefined where it is none. */
export function parseCursor(orderId: string, text: string): TimelineCursor | undefined {
  const match = /^([0-9]{1,9})\.([0-9]{1,15})\.([01])\.([0-9]{1,3})\.([A-Za-z0-9_-]{0,8100})$/.exec(text);
  const [, partition, offset, isCreated, held, encoded = ""] = match ?? [];
  const hashes = Buffer.from(encoded, "base64url");
  if (!match || Number(held) > HELD_UPDATES_MAX || hashes.length % HASH_BYTES !== 0) return undefined;
  const counted = new Set<number>();
  for (let at = 0; at < hashes.length; at += HASH_BYTES) counted.add(hashes.readUIntBE(at, HASH_BYTES));
  const order = isCreated === "1" ? someOrder(orderId) : undefined;
  const state = { ...initialState, order, held: Array.from({ length: Number(held) }, (): Status => "new") };
  return { partition: Number(partition), offset: Number(offset), state, counted };
}

const someOrder = (orderId: string): Order => ({
  orderId,
  customerId: "",
  orderDate: "",
  items: [],
  total_hundredths: 0,
  currency: "",
  status: "new",
});
