import { type Change, writeChange } from "./events/kinds.ts";
import { hashKeyed, hashTexts } from "./fact-hash.ts";
import type { OrderName } from "./order-key.ts";
import { type Created, type Order, orderFields } from "./order.ts";

/**
 * A digest is the sum, modulo 2^52, of the hashes of all facts that hold: how an order was created, which status it
 * has, which updates it holds, which events counted. So it is kept up to date by adding and subtracting single facts,
 * and equal states have equal digests, in whatever order they came about. It guards against mistakes and damage, not
 * against forgery.
 *
 * A sum of 52 bits is exact in a double and in SQLite's integers.
 */
export const DIGEST_MODULUS = 2 ** 52;

/** The numbers of the kinds of fact, which seed the hash. Those of single fields are in ORDER_FIELDS. */
export const DIGEST_NUMBERS = { created: 1, held: 3, event: 4 } as const;
const { created: CREATED, held: HELD, event: EVENT } = DIGEST_NUMBERS;

/**
 * The text of the created fact: the fields of ORDER_FIELDS whose fact is "created", in a form that must never change.
 * The fields are written out, here, below and in `scanned-facts.ts`, because a loop over them made a fold 3 % slower;
 * a test checks that a change of each field changes the digest.
 */
function createdText({ customerId, orderDate, items, total_hundredths, currency }: Created): string {
  let text = `${customerId}\n${orderDate}\n${total_hundredths}\n${currency}`;
  for (const { itemId, quantity, price_hundredths } of items) text += `\n${itemId}\n${quantity}\n${price_hundredths}`;
  return text;
}

/** The fact of what a create said. */
export const createdFact = (created: Created): number => hashTexts(CREATED, created.orderId, createdText(created));

/** The facts of single fields, which are those that may change. */
const fieldFacts = orderFields.flatMap(({ field, fact }) =>
  fact === "created" ? [] : [{ ...fact, field: field as Exclude<keyof Order, "created"> }],
);

type FieldFact = (typeof fieldFacts)[number];

/** 0 where there is no fact to tell. */
function fieldFact({ number, text }: FieldFact, name: OrderName, order: Order): number {
  const told = text(order);
  return told === undefined ? 0 : typeof name === "number" ? hashKeyed(number, name, told) : hashTexts(number, name, told);
}

/** The sum of the facts of a created order. */
export function orderFacts(order: Order, name: OrderName = order.created.orderId): number {
  let sum = order.created.fact ?? createdFact(order.created);
  for (const fact of fieldFacts) sum = digestSum(sum, fieldFact(fact, name, order));
  return sum;
}

/** What a change of an order adds to a digest; `before` is undefined where the change is the create. */
export function changedFacts(before: Order | undefined, after: Order, name: OrderName = after.created.orderId): number {
  if (before === undefined) return orderFacts(after, name);
  let change = 0;
  for (const fact of fieldFacts) {
    if (before[fact.field] === after[fact.field]) continue;
    change = digestSum(digestSum(change, fieldFact(fact, name, after)), -fieldFact(fact, name, before));
  }
  return change;
}

/** The fact of the held changes, in log order. It is 0 where none are held, which is no fact. */
export const heldFact = (orderId: string, held: readonly Change[]): number =>
  held.length === 0 ? 0 : hashTexts(HELD, orderId, held.map(writeChange).join("\n"));

export const eventFact = (orderId: string, eventId: string): number => hashTexts(EVENT, orderId, eventId);

/** Adds a fact to a digest; a fact that no longer holds is added as `-fact`. */
export const digestSum = (digest: number, fact: number): number => {
  const sum = digest + fact;
  return sum >= DIGEST_MODULUS ? sum - DIGEST_MODULUS : sum < 0 ? sum + DIGEST_MODULUS : sum;
};

/** The digest as 13 hexadecimal digits. */
export const formatDigest = (digest: number): string => digest.toString(16).padStart(13, "0");

/** Computes the digest of whole rows from scratch, which a digest that is kept up to date must equal. */
export function digestOf(
  rows: Iterable<{
    readonly orderId: string;
    readonly order: Order | undefined;
    readonly held: readonly Change[];
    readonly eventIds: Iterable<string>;
  }>,
): string {
  let digest = 0;
  for (const { orderId, order, held, eventIds } of rows) {
    if (order) digest = digestSum(digest, orderFacts(order));
    digest = digestSum(digest, heldFact(orderId, held));
    for (const eventId of eventIds) digest = digestSum(digest, eventFact(orderId, eventId));
  }
  return formatDigest(digest);
}
