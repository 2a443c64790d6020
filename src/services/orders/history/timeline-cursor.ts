import { readChange, writeChange } from "../../../orders/events/kinds.ts";
import { initialState, type OrderState } from "../../../orders/fold.ts";
import type { Order, OrderFields } from "../../../orders/order.ts";
import { HELD_UPDATES_MAX } from "../../../orders/outcomes.ts";

/**
 * Where the next page of an order's timeline begins, and what the events before it made of the order, so that the
 * outcome of the next event is known without reading them again. The client carries it: nothing is kept here, and any
 * instance can continue. It is not signed, since a client that changes it deceives only itself.
 */
export interface TimelineCursor {
  readonly partition: number;
  readonly offset: number;
  /** Everything that an outcome may depend on: the order, here without its items, and the changes that wait. */
  readonly state: OrderState;
  /**
   * Hashes of the ids of the events that counted, 48 bits each: among 1,000 ids, the odds that two are alike are one
   * in 500 million.
   */
  readonly counted: ReadonlySet<number>;
}

/** A cursor goes into a URL, and Bun accepts at most 16 KiB of those. */
export const TIMELINE_EVENTS_MAX = 1_000;
const HASH_BYTES = 6;

export const eventIdHash = (eventId: string): number => Number(BigInt.asUintN(HASH_BYTES * 8, Bun.hash.xxHash64(eventId)));

/**
 * Writes `3.1712.eyJv….Ab3d…`: partition, offset, the state as JSON, and the ids' hashes; the last two in Base64 for
 * URLs.
 */
export function formatCursor({ partition, offset, state, counted }: TimelineCursor): string {
  const hashes = Buffer.alloc(counted.size * HASH_BYTES);
  let at = 0;
  for (const hash of counted) at = hashes.writeUIntBE(hash, at, HASH_BYTES);
  const { order, held } = state;
  const carried: Carried = { ...(order && { order: withoutItems(order) }), held: held.map(writeChange) };
  const text = Buffer.from(JSON.stringify(carried)).toString("base64url");
  return `${partition}.${offset}.${text}.${hashes.toString("base64url")}`;
}

/** Reads what `formatCursor` wrote; undefined if the text is not a cursor. */
export function parseCursor(orderId: string, text: string): TimelineCursor | undefined {
  const match = /^([0-9]{1,9})\.([0-9]{1,15})\.([A-Za-z0-9_-]{1,6000})\.([A-Za-z0-9_-]{0,8100})$/.exec(text);
  const [, partition, offset, carried = "", encoded = ""] = match ?? [];
  const state = match ? parseState(orderId, carried) : undefined;
  const hashes = Buffer.from(encoded, "base64url");
  if (!state || hashes.length % HASH_BYTES !== 0) return undefined;
  const counted = new Set<number>();
  for (let at = 0; at < hashes.length; at += HASH_BYTES) counted.add(hashes.readUIntBE(at, HASH_BYTES));
  return { partition: Number(partition), offset: Number(offset), state, counted };
}

type CarriedOrder = Omit<OrderFields, "items" | "orderId">;

interface Carried {
  readonly order?: CarriedOrder;
  readonly held: readonly string[];
}

function withoutItems({ created, ...others }: Order): CarriedOrder {
  const { customerId, orderDate, total_hundredths, currency } = created;
  return { ...others, customerId, orderDate, total_hundredths, currency };
}

function parseState(orderId: string, text: string): OrderState | undefined {
  const carried = parseCarried(Buffer.from(text, "base64url"));
  if (!carried) return undefined;
  const held = carried.held.flatMap((word) => readChange(word) ?? []);
  if (held.length !== carried.held.length || held.length > HELD_UPDATES_MAX) return undefined;
  if (!carried.order) return { ...initialState, held };
  const { customerId, orderDate, total_hundredths, currency, ...others } = carried.order;
  const created = { orderId, customerId, orderDate, total_hundredths, currency, items: [] };
  return { ...initialState, order: { ...others, created }, held };
}

/** Whoever asks may have written it: a field that is no text and no number could make an outcome throw. */
const isCarriedOrder = (order: unknown): boolean =>
  order === undefined ||
  (typeof order === "object" &&
    order !== null &&
    Object.values(order).every((value) => typeof value === "string" || Number.isSafeInteger(value)));

function parseCarried(bytes: Buffer): Carried | undefined {
  try {
    const carried = JSON.parse(bytes.toString()) as Partial<Carried> | null;
    const areWords = Array.isArray(carried?.held) && carried.held.every((word) => typeof word === "string");
    return areWords && isCarriedOrder(carried.order) ? (carried as Carried) : undefined;
  } catch {
    return undefined;
  }
}
