import { orderProjection } from "../../src/services/orders/state/order-projection.ts";
import type { LogRecord } from "../../src/log/port.ts";
import { auditClaims, type Claim } from "../reference/claims.ts";
import { foldPartition, type LoggedRecord, type ReferencePartition } from "../reference/reference.ts";
import { Violation } from "../reference/violation.ts";
import { originOf } from "./letters.ts";
import { loggedFields } from "./records.ts";
import { DEAD_LETTERS, TOPIC } from "./topic-names.ts";
import type { World } from "./world.ts";

/** Compares what every process has, and what every client was told, with the log. Throws a Violation. */
export function audit(world: World, claims: readonly Claim[], last: ReadonlySet<Claim>): void {
  const records = world.broker.topics
    .topic(TOPIC)
    .map(({ entries }, partition) =>
      entries.flatMap((entry, offset): LoggedRecord[] => (entry === null ? [] : [{ partition, offset, ...loggedFields(entry) }])),
    );
  const expected = records.map(foldPartition);
  auditRows(world, expected);
  auditDeadLetters(world, expected);
  const kept = claims.filter((claim) => last.has(claim) || !isExcused(world, claim));
  for (const violation of auditClaims(kept, records, expected)) throw violation;
}

/**
 * Whether the claim rests on what the log acknowledged and then lost. Nobody is responsible for that, nor for what
 * followed from it before the loss was known.
 */
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
      // The partition has applied what the log has lost, and nobody answers from it.
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
        if (row?.created.customerId !== customerId || row.status !== status)
          throw new Violation(
            "rows",
            `${orderId} in partition ${partition} at ${owner.name} is ${row?.created.customerId} ${row?.status}, not ${customerId} ${status}`,
          );
      }
    }
  }
}

/**
 * Checks that each poison record has exactly one dead letter and that there are no others, leaving aside what either
 * topic has lost.
 */
function auditDeadLetters(world: World, expected: readonly ReferencePartition[]): void {
  const isKept = (partition: number, offset: number): boolean => offset < world.losses.firstLostOffset(partition);
  const lettersOf = (entries: readonly (LogRecord | null)[]): string[] =>
    entries.flatMap((entry) => {
      const origin = originOf(entry);
      const [partition = 0, offset = 0] = origin?.split(":").map(Number) ?? [];
      return origin !== undefined && isKept(partition, offset) ? origin : [];
    });
  const found = world.broker.topics.topic(DEAD_LETTERS).flatMap(({ entries }) => lettersOf(entries));
  const old = new Set(lettersOf(world.deletedLetters));
  const wanted = expected.flatMap(({ dead }, partition) =>
    dead.filter((offset) => isKept(partition, offset)).map((offset) => `${partition}:${offset}`),
  );
  // A letter that was in the deleted topic may be in the new one as well.
  const there = [...found, ...wanted.filter((letter) => old.has(letter) && !found.includes(letter))];
  if (there.toSorted().join() !== wanted.toSorted().join())
    throw new Violation("dead-letters-once", `the dead letters are ${there.toSorted().join()}, not ${wanted.toSorted().join()}`);
}
