import { auditClaims } from "../reference/claims.ts";
import { foldPartition, type ReferenceOrder, type ReferencePartition } from "../reference/reference.ts";
import { Violation } from "../reference/violation.ts";
import type { HttpAnswer } from "./client.ts";
import type { Ledger, ReadBack } from "./ledger.ts";
import { type DeadLetterRecord, nameOf, type TopicRecord } from "./records.ts";

/** What the topic means, according to the reference. */
export interface Expected {
  readonly partitions: readonly ReferencePartition[];
  readonly orders: ReadonlyMap<string, ReferenceOrder>;
  /** Every id that must be listed, including those known only from held updates. */
  readonly ids: ReadonlySet<string>;
}

export function expectedOf(records: readonly (readonly TopicRecord[])[]): Expected {
  const partitions = records.map(foldPartition);
  const orders = new Map(partitions.flatMap((partition) => [...partition.orders]));
  return { partitions, orders, ids: new Set([...orders.keys(), ...partitions.flatMap(({ heldOnly }) => [...heldOnly])]) };
}

/** Compares the topic with everything that clients sent and were told. */
export function* auditTopic(
  ledger: Pick<Ledger, "claims" | "reads" | "sends" | "operations">,
  records: readonly (readonly TopicRecord[])[],
  expected: Expected,
): Generator<Violation> {
  yield* auditClaims(ledger.claims, records, expected.partitions);
  for (const read of ledger.reads) yield* auditReadBack(read, expected.orders.get(read.orderId));
  yield* auditAccounts(ledger, records);
}

/** Checks that a read at a position shows the order as it was there, or in a later state. */
function* auditReadBack({ name, orderId, position, body }: ReadBack, order: ReferenceOrder | undefined): Generator<Violation> {
  const at = order?.statuses.findLastIndex(({ offset }) => offset <= position.offset) ?? -1;
  const possible = order?.statuses.slice(at).map(({ status }) => detailsOf({ ...order, status })) ?? [];
  const read: unknown = JSON.parse(body);
  if (at < 0 || !possible.some((details) => Bun.deepEquals(details, read)))
    yield new Violation("read-your-writes", `${name}: at ${position.partition}:${position.offset} it read ${body}`, orderId);
}

/** Checks that everything sent is in the topic, and nothing else. */
function* auditAccounts(
  { sends, operations }: Pick<Ledger, "sends" | "operations">,
  records: readonly (readonly TopicRecord[])[],
): Generator<Violation> {
  const known = new Set(Array.from({ length: operations }, (_, n) => nameOf(n + 1)));
  const found = new Set<number>();
  for (const record of records.flat()) {
    const { send, operation, partition, offset, key } = record;
    if (send !== undefined) found.add(send);
    if (send === undefined ? !known.has(operation ?? "") : sends[send] === undefined)
      yield new Violation("all-is-accounted-for", `nobody sent the record at ${partition}:${offset}`, key);
  }
  for (const [send, taken] of sends.entries())
    if (taken && !found.has(send)) yield new Violation("all-is-accounted-for", `foreign event ${send} is not in the topic`);
}

export function* auditDeadLetters(
  records: readonly (readonly TopicRecord[])[],
  { partitions }: Expected,
  letters: readonly DeadLetterRecord[],
): Generator<Violation> {
  const wanted = new Set(partitions.flatMap(({ dead }, partition) => dead.map((offset) => `${partition}:${offset}`)));
  const seen = new Set<string>();
  const byOffset = records.map((ofPartition) => new Map(ofPartition.map((record) => [record.offset, record])));
  for (const { partition, offset, key, value } of letters) {
    const origin = `${partition}:${offset}`;
    const record = byOffset[partition]?.get(offset);
    const orderId = record?.key;
    if (!wanted.has(origin)) yield new Violation("dead-letters-only", `${origin} is a dead letter and should be none`, orderId);
    else if (seen.has(origin)) yield new Violation("dead-letters-once", `${origin} is a dead letter twice`, orderId);
    else if (!Bun.deepEquals([record?.keyBytes, record?.valueBytes], [key, value]))
      yield new Violation("dead-letters-kept", `the dead letter of ${origin} has other bytes than the record`, orderId);
    seen.add(origin);
  }
  for (const origin of wanted)
    if (!seen.has(origin)) yield new Violation("dead-letters-kept", `${origin} should be a dead letter and is none`);
}

/** Checks how the order services answered for one order: each must show it as it is, whoever holds it. */
export function* auditOrder(
  orderId: string,
  order: ReferenceOrder | undefined,
  answers: readonly (readonly [service: string, answer: HttpAnswer])[],
): Generator<Violation> {
  const details = order && detailsOf(order);
  for (const [service, { code, body }] of answers) {
    const told = `${service} answers ${code === "ok" ? body : code} for ${orderId}, which should be ${JSON.stringify(details)}`;
    if (code === "ok" && !Bun.deepEquals(JSON.parse(body), details)) yield new Violation("rows", told, orderId);
    else if (code === "ORDER_NOT_FOUND" && order) yield new Violation("rows-kept", told, orderId);
    else if (code !== "ok" && code !== "ORDER_NOT_FOUND") yield new Violation("answers-at-rest", told, orderId);
  }
}

/** Checks that the listing of each order service is exactly the reference's ids, each once. */
export function* auditListings(listings: readonly (readonly string[])[], { ids }: Expected): Generator<Violation> {
  for (const listing of listings) {
    const seen = new Set<string>();
    for (const id of listing) {
      if (seen.has(id)) yield new Violation("listed-once", `${id} is listed twice`, id);
      else if (!ids.has(id)) yield new Violation("listed-once", `${id} is listed and is not in the topic`, id);
      seen.add(id);
    }
    for (const id of ids) if (!seen.has(id)) yield new Violation("all-are-listed", `${id} is in the topic and is not listed`, id);
  }
}

/** The body of `GET /order-details`. */
function detailsOf({ shippingCost, orderId, customerId, orderDate, items, totalAmount, currency, status }: ReferenceOrder) {
  return { order: { orderId, customerId, orderDate, items, totalAmount, currency, status }, shippingCost };
}
