import type { Order, Status } from "./order.ts";

/**
 * A digest of orders that is kept by adding and taking away: each fact that holds (an order was created so, it has this status, these
 * updates wait for it, this event counted) is hashed, and the digest is the sum of the hashes modulo 2^52. Equal states have equal digests,
 * in whatever order they came to be; it guards against mistakes and damage, not against somebody who forges one.
 *
 * A hash is the lower 52 bits of the fact's xxHash64 (seed 0, UTF-8), so that a sum is exact in a double and in SQLite's integers.
 */
export const DIGEST_MODULUS = 2 ** 52;

const LOWER_BITS = BigInt(DIGEST_MODULUS - 1);

const hash = (fact: string): number => Number(Bun.hash.xxHash64(fact) & LOWER_BITS);

/** The order as it was created; what may change afterwards is a fact of its own. */
export const createdFact = ({ orderId, customerId, orderDate, items, total_hundredths, currency }: Order): number => {
  let fact = `created\n${orderId}\n${customerId}\n${orderDate}\n${total_hundredths}\n${currency}`;
  for (const { itemId, quantity, price_hundredths } of items) fact += `\n${itemId}\n${quantity}\n${price_hundredths}`;
  return hash(fact);
};

export const statusFact = (orderId: string, status: Status): number => hash(`status\n${orderId}\n${status}`);

/** The updates that wait for an order's create, in log order. None waiting is no fact: 0. */
export const heldFact = (orderId: string, held: readonly Status[]): number =>
  held.length === 0 ? 0 : hash(`held\n${orderId}\n${held.join("\n")}`);

export const eventFact = (orderId: string, eventId: string): number => hash(`event\n${orderId}\n${eventId}`);

/** The sum of a digest and facts that are added; a fact that ceases to hold is added as `-fact`. */
export const digestSum = (digest: number, fact: number): number => {
  const sum = digest + fact;
  return sum >= DIGEST_MODULUS ? sum - DIGEST_MODULUS : sum < 0 ? sum + DIGEST_MODULUS : sum;
};

/** 13 hexadecimal digits. */
export const formatDigest = (digest: number): string => digest.toString(16).padStart(13, "0");
