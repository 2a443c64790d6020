import { describe, expect, test } from "bun:test";
import type { Claim } from "../reference/claims.ts";
import type { Violation } from "../reference/violation.ts";
import { auditDeadLetters, auditListings, auditOrder, auditTopic, expectedOf } from "./audit.ts";
import type { HttpAnswer } from "./client.ts";
import type { ReadBack } from "./ledger.ts";
import { type DeadLetterRecord, nameOf, POISON_HEADER, SEND_HEADER, TopicRecord, traceOf } from "./records.ts";
import { FAULT_KINDS, readOptions } from "./options.ts";
import { schedule } from "./schedule.ts";

/** A small run in which everything is right; each test makes one thing wrong and checks that it is found. */
interface Run {
  records: TopicRecord[];
  claims: Claim[];
  reads: ReadBack[];
  sends: boolean[];
  operations: number;
  letters: DeadLetterRecord[];
  answers: [orderId: string, [service: string, answer: HttpAnswer][]][];
  listings: string[][];
}

const ORDER = "ORD-1";

// What the audit reads is written by hand, as another program writes it: the soak shares no code of orders with src.
const createdBy = (operation: number, orderId = ORDER): string =>
  JSON.stringify({
    event_id: `event-of-${operation}`,
    event_type: "ORDER_CREATED",
    timestamp: "2026-11-22T21:42:39.413905",
    order_id: orderId,
    order: {
      order_id: orderId,
      customer_id: `CUST-${operation}`,
      order_date: "2026-11-22T21:42:39.413708",
      items: [{ item_id: "ITEM-1", quantity: 3, price: 411.80999999999995 }],
      total_amount: 1235.4299999999998,
      currency: "USD",
      status: "new",
    },
  });

const updatedTo = (status: string, eventId: string): string =>
  JSON.stringify({ event_id: eventId, event_type: "ORDER_STATUS_UPDATED", order_id: ORDER, status });

const details = (status: string): string =>
  JSON.stringify({
    order: {
      orderId: ORDER,
      customerId: "CUST-1",
      orderDate: "2026-11-22T21:42:39.413708Z",
      items: [{ itemId: "ITEM-1", quantity: 3, price: 411.81 }],
      totalAmount: 1235.43,
      currency: "USD",
      status,
    },
    shippingCost: 24.71,
  });

const answer = (code: string, body = ""): HttpAnswer => ({
  status: code === "ok" ? 200 : code === "ORDER_NOT_FOUND" ? 404 : 421,
  code,
  body,
  position: undefined,
  took_ms: 1,
});

function record(offset: number, value: string, headers: Record<string, string>): TopicRecord {
  const bytes = { key: Buffer.from(ORDER), value: Buffer.from(value) };
  return new TopicRecord({ partition: 0, offset, ...bytes, headers: Object.entries(headers) });
}

/**
 * The records are an early update, the create, an update, the create once more, a late create by another client, and
 * poison.
 */
function rightRun(): Run {
  const byOperation = (operation: number) => ({ traceparent: traceOf(operation) });
  const claim = { orderId: ORDER, createdBefore: false };
  return {
    records: [
      record(0, updatedTo("pending", "early"), { [SEND_HEADER]: "0" }),
      record(1, createdBy(1), byOperation(1)),
      record(2, updatedTo("shipped", "event-of-2"), byOperation(2)),
      record(3, createdBy(1), { ...byOperation(1), [SEND_HEADER]: "1" }),
      record(4, createdBy(3), byOperation(3)),
      record(5, "no JSON", { [SEND_HEADER]: "2", [POISON_HEADER]: "1" }),
    ],
    claims: [
      { ...claim, name: nameOf(1), asked: "create", answer: { partition: 0, offset: 1 } },
      { ...claim, name: nameOf(2), asked: "update", status: "shipped", answer: { partition: 0, offset: 2 } },
      { ...claim, name: nameOf(3), asked: "create", answer: "ORDER_EXISTS" },
      { ...claim, name: nameOf(4), orderId: "ORD-2", asked: "update", status: "shipped", answer: "ORDER_NOT_FOUND" },
    ],
    reads: [{ name: nameOf(1), orderId: ORDER, position: { partition: 0, offset: 1 }, body: details("pending") }],
    sends: [true, true, true],
    operations: 4,
    letters: [{ partition: 0, offset: 5, key: Buffer.from(ORDER), value: Buffer.from("no JSON") }],
    answers: [
      [
        ORDER,
        [
          ["a", answer("ok", details("shipped"))],
          ["b", answer("ok", details("shipped"))],
        ],
      ],
    ],
    listings: [[ORDER], [ORDER]],
  };
}

function audited(spoil: (run: Run) => void): string[] {
  const run = rightRun();
  spoil(run);
  const expected = expectedOf([run.records]);
  const found: Violation[] = [
    ...auditTopic(run, [run.records], expected),
    ...auditDeadLetters([run.records], expected, run.letters),
    ...run.answers.flatMap(([orderId, answers]) => [...auditOrder(orderId, expected.orders.get(orderId), answers)]),
    ...auditListings(run.listings, expected),
  ];
  return [...new Set(found.map(({ invariant }) => invariant))];
}

/** All claims, one of them changed. */
const answered = (run: Run, n: number, changed: Partial<Claim>): Claim[] => run.claims.with(n, { ...run.claims[n]!, ...changed });

describe("the soak's audit", () => {
  test("finds nothing where all is right", () => expect(audited(() => undefined)).toEqual([]));

  const wrong: Record<string, readonly [invariant: string, spoil: (run: Run) => unknown]> = {
    "an acknowledged update is not in the log": ["acknowledged-is-kept", (run) => run.records.splice(2, 1)],
    "a 200 names the place of another event": [
      "acknowledged-is-kept",
      (run) => (run.claims = answered(run, 1, { answer: { partition: 0, offset: 4 } })),
    ],
    "a foreign event that the broker took is not in the log": ["all-is-accounted-for", (run) => run.sends.push(true)],
    "a record that nobody sent": ["all-is-accounted-for", (run) => (run.operations = 2)],
    "two clients were told that they created one order": [
      "one-winner",
      (run) => (run.claims = answered(run, 2, { answer: { partition: 0, offset: 4 } })),
    ],
    "a create answered 200 is not the first": [
      "first-create-wins",
      (run) => {
        run.claims = answered(run, 2, { answer: { partition: 0, offset: 4 } }).slice(1);
      },
    ],
    "an update was taken before the create": [
      "no-update-of-nothing",
      (run) => {
        run.records[1] = record(1, updatedTo("shipped", "event-of-2"), { traceparent: traceOf(2) });
        run.records[2] = record(2, createdBy(1), { traceparent: traceOf(1) });
        run.claims = answered(run, 1, { answer: { partition: 0, offset: 1 } });
      },
    ],
    "a 404 after the create was acknowledged": [
      "no-false-404",
      (run) => (run.claims = answered(run, 3, { orderId: ORDER, createdBefore: true })),
    ],
    "a 409 for what was never created": ["no-false-409", (run) => (run.claims = answered(run, 2, { orderId: "ORD-3" }))],
    "a 409 for its own create": ["no-false-409", (run) => (run.claims = answered(run, 0, { answer: "ORDER_EXISTS" }))],
    "a read at a position shows what was before it": [
      "read-your-writes",
      (run) => (run.reads = [{ ...run.reads[0]!, position: { partition: 0, offset: 2 } }]),
    ],
    "a row differs": ["rows", (run) => (run.answers[0]![1][0] = ["a", answer("ok", details("pending"))])],
    "a service denies the order": ["rows-kept", (run) => (run.answers[0]![1][1] = ["b", answer("ORDER_NOT_FOUND")])],
    "a service refers to another": ["answers-at-rest", (run) => (run.answers[0]![1][1] = ["b", answer("PARTITION_ELSEWHERE")])],
    "a service has an order that is none": [
      "rows",
      (run) => run.answers.push(["ORD-4", [["a", answer("ok", details("shipped"))]]]),
    ],
    "a service does not list an order": ["all-are-listed", (run) => (run.listings[1] = [])],
    "an order is listed twice": ["listed-once", (run) => (run.listings[1] = [ORDER, ORDER])],
    "an order is listed that is none": ["listed-once", (run) => (run.listings[1] = [ORDER, "ORD-4"])],
    "a dead letter is missing": ["dead-letters-kept", (run) => (run.letters = [])],
    "a dead letter stands there twice": ["dead-letters-once", (run) => run.letters.push(run.letters[0]!)],
    "a good event is a dead letter": ["dead-letters-only", (run) => run.letters.push({ ...run.letters[0]!, offset: 2 })],
    "a dead letter has other bytes": [
      "dead-letters-kept",
      (run) => (run.letters = [{ ...run.letters[0]!, value: Buffer.from("other") }]),
    ],
  };
  test.each(Object.keys(wrong))("finds that %s", (what) => {
    const [invariant, spoil] = wrong[what]!;
    expect(audited(spoil)).toContain(invariant);
  });
});

test("a queue of held updates takes a hundred; what is beyond is a dead letter, and the create has the last held status", () => {
  const early = Array.from({ length: 103 }, (_, n) => record(n, updatedTo(n < 100 ? "pending" : "shipped", `early-${n}`), {}));
  const { partitions, orders } = expectedOf([[...early, record(103, createdBy(1), {})]]);
  expect(partitions[0]?.dead).toEqual([100, 101, 102]);
  expect(orders.get(ORDER)?.status).toBe("pending");
});

test("as many faults are scheduled as are asked for, each within the run; the seed gives their times", () => {
  const options = readOptions(["--minutes", "10", "--kills", "300"])!;
  expect(options.faults.kills).toBe(300);
  expect(options.faults["ack-cuts"]).toBe(50);
  expect(options.faults["leader-kills"]).toBe(15);
  const planned = schedule(options.faults, 600_000, () => 0.5);
  for (const kind of FAULT_KINDS) expect(planned.filter((one) => one.kind === kind)).toHaveLength(options.faults[kind]);
  expect(planned.every(({ at_ms }) => at_ms > 0 && at_ms < 600_000 * 0.95)).toBe(true);
  expect(() => readOptions(["--kills", "many"])).toThrow("--kills");
});
