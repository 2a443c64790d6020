import { orderProjection } from "../../src/services/orders/state/order-projection.ts";
import type { LogRecord } from "../../src/log/port.ts";
import { DEAD_LETTER_HEADERS } from "../../src/log/record-headers.ts";
import { auditClaims, type Claim } from "../reference/claims.ts";
import { foldPartition, type LoggedRecord, type ReferencePartition } from "../reference/reference.ts";
import { Violation } from "../reference/violation.ts";
import { logged } from "./records.ts";
import { FORGED } from "./strikes.ts";
import { DEAD_LETTERS, TOPIC, type World } from "./world.ts";

/** Holds what every process has, and what every client was told, against the log. Throws a Violation. */
export function audit(world: World, claims: readonly Claim[], last: ReadonlySet<Claim>): void {
  const records = world.broker.topics
    .topic(TOPIC)
    .map(({ entries }, partition) =>
      entries.flatMap((entry, offset): LoggedRecord[] => (entry === null ? [] : [{ partition, offset, ...logged(entry) }])),
    );
  const expected = records.map(foldPartition);
  auditRows(world, expected);
  auditDeadLetters(world, expected);
  const kept = claims.filter((claim) => last.has(claim) || !isExcused(world, claim));
  for (const violation of auditClaims(kept, records, expected)) throw violation;
}

/** What the log has acknowledged and lost since, nobody can be held to, nor to what followed from it before that was known. */
function isExcused({ losses }: World, { name, orderId, answer, asked }: Claim): boolean {
  if (typeof answer === "string") return answer === "ORDER_EXISTS" && losses.orders.has(orderId);
  return losses.hasLost(name, answer) || (asked === "update" && losses.orders.has(orderId));
}

function auditRows(world: World, expected: readonly ReferencePartition[]): void {
  const owners = new Map<number, string>();
  for (const { orders, owner } of world.running("order-service")) {
    for (const held of orders?.partitions.held() ?? []) {
      const { partition, state } = held;
      const other = owners.get(partition);
      if (other) throw new Violation("one-owner", `partition ${partition} is held by ${other} and ${owner.name}`);
      owners.set(partition, owner.name);
      // It has applied what the log has lost: what it has is answered by nobody.
      if (state === "halted") continue;
      const reference = expected[partition];
      const view = held.view(orderProjection);
      if (!view || !reference) throw new Violation("rows", `partition ${partition} at ${owner.name} has no rows to look at`);
      const ids = view.orderIdsAfter("", 10_000);
      const expectedIds = [...reference.orders.keys(), ...reference.heldOnly].toSorted();
      if (ids.join() !== expectedIds.join())
        throw new Violation("rows", `partition ${partition} at ${owner.name} has ${ids.join()}, not ${expectedIds.join()}`);
      for (const { orderId, customerId, status } of reference.orders.values()) {
        const row = view.order(orderId);
        if (row?.customerId !== customerId || row.status !== status)
          throw new Violation(
            "rows",
            `${orderId} in partition ${partition} at ${owner.name} is ${row?.customerId} ${row?.status}, not ${customerId} ${status}`,
          );
      }
    }
  }
}

/** Each poison is there once, and nothing else; but for what the log has lost, of either topic. */
function auditDeadLetters(world: World, expected: readonly ReferencePartition[]): void {
  const isKept = (partition: number, offset: number): boolean => offset < world.losses.from(partition);
  const lettersOf = (entries: readonly (LogRecord | null)[]): string[] =>
    entries.flatMap((entry) => {
      if (!entry || String(entry.value) === FORGED) return [];
      const headers = new Map(entry.headers().map(([name, value]) => [name, String(value)]));
      const [partition, offset] = [headers.get(DEAD_LETTER_HEADERS.partition), headers.get(DEAD_LETTER_HEADERS.offset)];
      return isKept(Number(partition), Number(offset)) ? `${partition}:${offset}` : [];
    });
  const found = world.broker.topics.topic(DEAD_LETTERS).flatMap(({ entries }) => lettersOf(entries));
  const old = new Set(lettersOf(world.lettersOfOld));
  const wanted = expected.flatMap(({ dead }, partition) =>
    dead.filter((offset) => isKept(partition, offset)).map((offset) => `${partition}:${offset}`),
  );
  // A letter that was in the topic before that was deleted may be in the new one too.
  const there = [...found, ...wanted.filter((letter) => old.has(letter) && !found.includes(letter))];
  if (there.toSorted().join() !== wanted.toSorted().join())
    throw new Violation("dead-letters-once", `the dead letters are ${there.toSorted().join()}, not ${wanted.toSorted().join()}`);
}
