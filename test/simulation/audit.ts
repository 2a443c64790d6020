import { DEAD_LETTER_HEADERS } from "../../src/partitions/dead-letters.ts";
import type { Step } from "./plan.ts";
import { foldPartition, type LoggedRecord, type ReferencePartition } from "./reference.ts";
import { Violation } from "./violation.ts";
import { DEAD_LETTERS, TOPIC, type World } from "./world.ts";

/** What a client was told. */
export interface Claim {
  readonly name: string;
  readonly step: Extract<Step, { do: "create" | "update" }>;
  readonly orderId: string;
  /** Where the event is; a refusal's code; or that it is not known. */
  readonly answer: string | { readonly partition: number; readonly offset: number };
}

/** Holds what every process has, and what every client was told, against the log. Throws a Violation. */
export function audit(world: World, claims: readonly Claim[]): void {
  const logged = world.broker.topics
    .topic(TOPIC)
    .map(({ entries }, partition) =>
      entries.flatMap((entry, offset): LoggedRecord[] =>
        entry === null ? [] : [{ partition, offset, key: String(entry.key), value: String(entry.value) }],
      ),
    );
  const expected = logged.map(foldPartition);
  auditRows(world, expected);
  auditDeadLetters(world, expected);
  auditClaims(claims, logged, expected);
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

function auditClaims(
  claims: readonly Claim[],
  logged: readonly (readonly LoggedRecord[])[],
  expected: readonly ReferencePartition[],
): void {
  const winners = new Map<string, string>();
  for (const { name, step, orderId, answer } of claims) {
    if (answer === "unknown") continue;
    const first = expected.map(({ orders }) => orders.get(orderId)?.customerId).find((customer) => customer !== undefined);
    if (typeof answer === "string") {
      if (step.do !== "create" || answer !== "ORDER_EXISTS") continue;
      if (first === undefined) throw new Violation("no-false-409", `${name}: 409 for ${orderId}, which was never created`);
      if (first === name) throw new Violation("no-false-409", `${name}: 409 for ${orderId}, which it created itself`);
      continue;
    }
    const record = logged[answer.partition]?.find(({ offset }) => offset === answer.offset);
    const event = record && (JSON.parse(record.value) as { order_id: string; status?: string; order?: { customer_id: string } });
    const isIts = step.do === "create" ? event?.order?.customer_id === name : event?.status === step.status && !event.order;
    if (event?.order_id !== orderId || !isIts)
      throw new Violation(
        "acknowledged-is-kept",
        `${name}: 200 for ${answer.partition}:${answer.offset}, where the log has ${record?.value}`,
      );
    if (step.do !== "create") continue;
    const other = winners.get(orderId);
    if (other !== undefined && other !== name) throw new Violation("one-winner", `${orderId}: 200 for ${other} and for ${name}`);
    winners.set(orderId, name);
    const stored = expected[answer.partition]?.orders.get(orderId)?.customerId;
    const copies = expected.filter(({ orders }) => orders.has(orderId)).length;
    if (stored !== name || copies !== 1)
      throw new Violation(
        "first-create-wins",
        `${name}: 200 for ${orderId}, but the log's first is ${stored}, in ${copies} partitions`,
      );
  }
}
