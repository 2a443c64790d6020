import type { LoggedRecord, ReferenceOrder, ReferencePartition, WireEvent } from "./reference.ts";
import { Violation } from "./violation.ts";

export interface Position {
  readonly partition: number;
  readonly offset: number;
}

/** What a client was told. */
export interface Claim {
  /** The operation's name; its records carry it as `operation`. */
  readonly name: string;
  readonly asked: "create" | "update";
  readonly orderId: string;
  /** The status an update asks for. */
  readonly status?: string;
  /** The event's position, the code of a refusal, or "unknown". */
  readonly answer: string | Position;
  /** Whether the order's create had been acknowledged before this was asked. */
  readonly createdBefore?: boolean;
}

/** Compares what the clients were told with the log and its meaning. */
export function* auditClaims(
  claims: Iterable<Claim>,
  logged: readonly (readonly LoggedRecord[])[],
  expected: readonly ReferencePartition[],
): Generator<Violation> {
  const records = logged.map((ofPartition) => new Map(ofPartition.map((record) => [record.offset, record])));
  const winners = new Map<string, string>();
  for (const claim of claims) {
    const { name, orderId, answer } = claim;
    if (answer === "unknown") continue;
    const orders = expected.flatMap((partition) => partition.orders.get(orderId) ?? []);
    if (typeof answer === "string") {
      yield* auditRefusal(claim, answer, orders[0]);
      continue;
    }
    const record = records[answer.partition]?.get(answer.offset);
    if (!record || !isOf(record, claim)) {
      const detail = `${name}: 200 for ${answer.partition}:${answer.offset}, where the log has ${record?.value}`;
      yield new Violation("acknowledged-is-kept", detail, orderId);
      continue;
    }
    const first = orders[0]?.createdBy;
    if (claim.asked === "update") {
      if (!first || (first.partition === answer.partition && first.offset > answer.offset))
        yield new Violation("no-update-of-nothing", `${name}: an update of ${orderId} was taken before its create`, orderId);
      continue;
    }
    const other = winners.get(orderId);
    if (other !== undefined && other !== name)
      yield new Violation("one-winner", `${orderId}: 200 for ${other} and for ${name}`, orderId);
    winners.set(orderId, name);
    if (first?.operation !== name || first.partition !== answer.partition || orders.length !== 1) {
      const detail = `${name}: 200 for ${orderId}, but the log's first is of ${first?.operation}, in ${orders.length} partitions`;
      yield new Violation("first-create-wins", detail, orderId);
    }
  }
}

function* auditRefusal({ name, orderId, createdBefore }: Claim, code: string, order?: ReferenceOrder): Generator<Violation> {
  if (code === "ORDER_NOT_FOUND" && createdBefore)
    yield new Violation("no-false-404", `${name}: 404 for ${orderId}, which was created before the request`, orderId);
  if (code !== "ORDER_EXISTS") return;
  if (!order) yield new Violation("no-false-409", `${name}: 409 for ${orderId}, which was never created`, orderId);
  else if (order.createdBy.operation === name)
    yield new Violation("no-false-409", `${name}: 409 for ${orderId}, which it created itself`, orderId);
}

function isOf(record: LoggedRecord, { name, asked, orderId, status }: Claim): boolean {
  if (record.isPoison || record.operation !== name) return false;
  const event = JSON.parse(record.value) as WireEvent;
  if (event.order_id !== orderId || record.key !== orderId) return false;
  return asked === "create"
    ? event.event_type === "ORDER_CREATED"
    : event.event_type === "ORDER_STATUS_UPDATED" && event.status === status;
}
