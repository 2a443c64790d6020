import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { encodeEvent } from "../../../src/orders/events/encode.ts";
import { type OrderEvent, writeChange } from "../../../src/orders/events/kinds.ts";
import { evolve, initialState, type OrderState } from "../../../src/orders/fold.ts";
import { factsOf, HELD_UPDATES_MAX, type RecordCount } from "../../../src/orders/outcomes.ts";
import { STATUSES } from "../../../src/orders/order.ts";
import { ReferenceFold } from "../../../src/tools/audit/reference-fold.ts";
import { foldPartition } from "../../reference/reference.ts";
import { aChange } from "../../support/events/an-event.ts";
import { logRecordOf, orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { plainOrder } from "../../support/events/plain-state.ts";

const orderId = fc.constantFrom("ORD-1", "ORD-2");
const eventId = fc.integer({ min: 0, max: 40 }).map((n) => `e${n}`);
const status = fc.constantFrom(...STATUSES);
const create = fc
  .tuple(orderId, eventId, status)
  .map(([id, event, first]): OrderEvent => orderCreated({ orderId: id, eventId: event, order: { status: first } }));
const change = fc
  .tuple(orderId, eventId, aChange)
  .map(([id, event, made]): OrderEvent => ({ ...statusUpdated({ orderId: id, eventId: event }), ...made }));
/** Events of few orders and ids, so that every possible outcome of an event occurs. */
const events = fc.array(fc.oneof({ weight: 1, arbitrary: create }, { weight: 4, arbitrary: change }), { maxLength: 60 });
/** Those events, some behind as many held updates as just fit, or one less. */
const logs = fc
  .tuple(fc.constantFrom(0, 0, 0, HELD_UPDATES_MAX - 1, HELD_UPDATES_MAX), status, events)
  .map(([waiting, to, rest]) => [
    ...Array.from({ length: waiting }, (_, n) => statusUpdated({ eventId: `waits-${n}`, status: to })),
    ...rest,
  ]);

function ours(log: readonly OrderEvent[]) {
  const states = new Map<string, OrderState>();
  const counts: Record<RecordCount, number> = { applied: 0, duplicate: 0, held: 0, ignored: 0, dead: 0 };
  for (const event of log) {
    const { state, outcome } = evolve(states.get(event.orderId) ?? initialState, event);
    states.set(event.orderId, state);
    counts[factsOf(outcome).count]++;
  }
  return { states, counts };
}

test("the three folds agree on any log: the service's, the audit's and the tests'", () => {
  fc.assert(
    fc.property(logs, (log) => {
      const { states, counts } = ours(log);
      const audits = new ReferenceFold();
      for (const [offset, event] of log.entries()) audits.apply(logRecordOf(event, offset));
      const tests = foldPartition(
        log.map((event, offset) => ({
          partition: 0,
          offset,
          key: event.orderId,
          value: encodeEvent(event),
          isPoison: false,
        })),
      );

      expect([audits.ignored, audits.deadLetters]).toEqual([counts.duplicate + counts.ignored, counts.dead]);
      expect(tests.dead).toHaveLength(counts.dead);
      expect([...audits.orders.keys()]).toEqual([...states.keys()]);
      for (const [id, { order, held, eventIds }] of states) {
        const ids = eventIds.toArray();
        const audited = audits.orders.get(id);
        expect(audited?.order && plainOrder(audited.order)).toEqual(order && plainOrder(order));
        expect(audited?.held.map(writeChange)).toEqual(held.map(writeChange));
        expect([...(audited?.eventIds ?? [])]).toEqual(ids);
        expect(tests.orders.get(id)?.status).toBe(order?.status);
        expect(tests.held.get(id) ?? []).toEqual(held.map(writeChange));
        expect([...tests.counted].filter((once) => once.startsWith(`${id} `))).toEqual(ids.map((one) => `${id} ${one}`));
      }
    }),
    { numRuns: 300 },
  );
});
