import type { LogRecord } from "../../src/log/log.ts";
import { DEAD_LETTER_HEADERS } from "../../src/log/operation-headers.ts";
import { auditClaims, type Claim } from "../reference/claims.ts";
import { foldPartition, type LoggedRecord, type ReferencePartition } from "../reference/reference.ts";
import { Violation } from "../reference/violation.ts";
import { DEAD_LETTERS, TOPIC, type World } from "./world.ts";

/** Holds what every process has, and what every client was told, against the log. Throws a Violation. */
export function audit(world: World, claims: readonly Claim[]): void {
  const records = world.broker.topics
    .topic(TOPIC)
    .map(({ entries }, partition) =>
      entries.flatMap((entry, offset): LoggedRecord[] => (entry === null ? [] : [{ partition, offset, ...logged(entry) }])),
    );
  const expected = records.map(foldPartition);
  auditRows(world, expected);
  auditDeadLetters(world, expected);
  for (const violation of auditClaims(claims, records, expected)) throw violation;
}

/** A request's traceparent here is its operation and attempt. */
const operationOf = (traceparent: string): string | undefined => traceparent.split("/")[0];

export function logged(entry: Pick<LogRecord, "key" | "value" | "headers">) {
  const value = String(entry.value);
  const trace = entry.headers().find(([name]) => name === "traceparent")?.[1];
  return {
    key: String(entry.key),
    value,
    operation: trace ? operationOf(String(trace)) : undefined,
    isPoison: value.startsWith("POISON"),
  };
}

function auditRows(world: World, expected: readonly ReferencePartition[]): void {
  const owners = new Map<number, string>();
  for (const { orders, owner } of world.running("order-service")) {
    for (const { partition, view } of orders?.partitions.held() ?? []) {
      const other = owners.get(partition);
      if (other) throw new Violation("one-owner", `partition ${partition} is held by ${other} and ${owner.name}`);
      owners.set(partition, owner.name);
      const reference = expected[partition];
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

function auditDeadLetters(world: World, expected: readonly ReferencePartition[]): void {
  const found: string[] = [];
  for (const { entries } of world.broker.topics.topic(DEAD_LETTERS)) {
    for (const entry of entries) {
      const headers = new Map(entry?.headers().map(([name, value]) => [name, String(value)]) ?? []);
      if (entry) found.push(`${headers.get(DEAD_LETTER_HEADERS.partition)}:${headers.get(DEAD_LETTER_HEADERS.offset)}`);
    }
  }
  const wanted = expected.flatMap(({ dead }, partition) => dead.map((offset) => `${partition}:${offset}`));
  if (found.toSorted().join() !== wanted.toSorted().join())
    throw new Violation("dead-letters-once", `the dead letters are ${found.toSorted().join()}, not ${wanted.toSorted().join()}`);
}
