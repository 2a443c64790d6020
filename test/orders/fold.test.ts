import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { OrderEvent } from "../../src/orders/events/kinds.ts";
import { EventIds, type Identified } from "../../src/orders/event-ids.ts";
import { evolve, initialState, type OrderState } from "../../src/orders/fold.ts";
import { STATUSES, type Status } from "../../src/orders/order.ts";
import { HELD_UPDATES_MAX, type Outcome } from "../../src/orders/outcomes.ts";
import { anOrder, orderCreated, statusChange, statusUpdated } from "../support/events/orders.ts";
import { plainState } from "../support/events/plain-state.ts";

const order = anOrder();
const create = (eventId: string, customerId = order.created.customerId) => orderCreated({ eventId, order: { customerId } });
const update = (eventId: string, status: Status) => statusUpdated({ eventId, status });

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) for (const inner of Object.values(Object.freeze(value))) deepFreeze(inner);
  return value;
}

/** Folds frozen values: modules are strict, so a write to the input throws. */
function foldAll(events: readonly OrderEvent[], from = initialState): { state: OrderState; outcomes: Outcome[] } {
  let state = from;
  const outcomes: Outcome[] = [];
  for (const event of events) {
    const evolution = evolve(deepFreeze(state), deepFreeze(event));
    outcomes.push(evolution.outcome);
    state = evolution.state;
  }
  return { state, outcomes };
}

describe("an order's fold", () => {
  test("creates, updates, and the last update in the log wins", () => {
    const { state, outcomes } = foldAll([create("a"), update("b", "shipped"), update("c", "pending")]);
    expect(outcomes).toEqual(["created", "updated", "updated"]);
    expect(plainState(state)).toEqual({ order: { ...order, status: "pending" }, held: [], eventIds: ["a", "b", "c"] });
  });

  test("holds updates that come before the create and applies them in log order (I5)", () => {
    const early = foldAll([update("b", "shipped"), update("c", "confirmed")]);
    expect(early.outcomes).toEqual(["held", "held"]);
    expect(plainState(early.state)).toEqual({
      order: undefined,
      held: [statusChange("shipped"), statusChange("confirmed")],
      eventIds: ["b", "c"],
    });
    const { state, outcomes } = foldAll([create("a")], early.state);
    expect(outcomes).toEqual(["created"]);
    expect(plainState(state)).toEqual({ order: { ...order, status: "confirmed" }, held: [], eventIds: ["b", "c", "a"] });
  });

  test("counts an event once, whether it was applied, held or the create (I4)", () => {
    const events = [
      update("b", "shipped"),
      update("b", "shipped"),
      create("a"),
      create("a"),
      update("b", "pending"),
      update("c", "new"),
    ];
    const { state, outcomes } = foldAll([...events, update("c", "shipped")]);
    expect(outcomes).toEqual(["held", "duplicate", "created", "duplicate", "duplicate", "updated", "duplicate"]);
    expect(state.order?.status).toBe("new");
  });

  test("an id is not taken for another that contains it", () => {
    expect(foldAll([create("abc"), update("b", "shipped"), update("ab", "pending"), update("bc", "new")]).outcomes).toEqual([
      "created",
      "updated",
      "updated",
      "updated",
    ]);
  });

  test("ignores a second create and does not keep its id", () => {
    const first = foldAll([create("a", "first")]).state;
    const { state, outcome } = evolve(first, create("b", "second"));
    expect(outcome).toBe("already-created");
    expect(state).toBe(first);
  });

  test("bounds the held updates; one that overflows leaves no trace and can come again (I10)", () => {
    const early = Array.from({ length: HELD_UPDATES_MAX }, (_, i) => update(`u${i}`, "pending"));
    const full = foldAll(early).state;
    expect(full.held).toHaveLength(100);
    const over = evolve(full, update("over", "shipped"));
    expect(over.outcome).toBe("held-overflow");
    expect(over.state).toBe(full);
    expect(evolve(full, update("u7", "pending")).outcome).toBe("duplicate");
    const { state, outcomes } = foldAll([create("a"), update("over", "shipped")], full);
    expect(outcomes).toEqual(["created", "updated"]);
    expect(state.order?.status).toBe("shipped");
  });

  test("asks for ids kept elsewhere, and only for those it does not have itself", () => {
    const { state } = foldAll([create("a"), update("b", "shipped")]);
    const asked: string[] = [];
    const seenBefore = ({ eventId }: Identified) => asked.push(eventId) > 0 && eventId === "spilled";
    expect(evolve(state, update("b", "pending"), seenBefore).outcome).toBe("duplicate");
    expect(asked).toEqual([]);
    const spilled = evolve(state, update("spilled", "pending"), seenBefore);
    expect(spilled).toEqual({ state, outcome: "duplicate" });
    expect(evolve(state, update("fresh", "pending"), seenBefore).outcome).toBe("updated");
    expect(asked).toEqual(["spilled", "fresh"]);
  });
});

/** The reference carries no state on: it works out each event's outcome anew from the whole list before it. */
function reference(log: readonly OrderEvent[]): {
  status: Status | undefined;
  customerId: string | undefined;
  counted: string[];
  outcomes: Outcome[];
} {
  const outcomes: Outcome[] = [];
  const counted: OrderEvent[] = [];
  for (const event of log) {
    const created = counted.some((e) => e.type === "ORDER_CREATED");
    let outcome: Outcome;
    if (counted.some((e) => e.eventId === event.eventId)) outcome = "duplicate";
    else if (event.type === "ORDER_CREATED") outcome = created ? "already-created" : "created";
    else if (created) outcome = "updated";
    else outcome = counted.length === 100 ? "held-overflow" : "held";
    outcomes.push(outcome);
    if (outcome === "created" || outcome === "updated" || outcome === "held") counted.push(event);
  }
  const creates = counted.flatMap((e) => (e.type === "ORDER_CREATED" ? [e.order] : []));
  const statuses = counted.flatMap((e) => (e.type === "ORDER_STATUS_UPDATED" ? [e.status] : []));
  return {
    status: creates.length === 0 ? undefined : (statuses.at(-1) ?? creates[0]?.status),
    customerId: creates[0]?.customerId,
    counted: counted.map((e) => e.eventId),
    outcomes,
  };
}

describe("any log of an order's events", () => {
  const id = fc.integer({ min: 0, max: 300 }).map((n) => `e${n}`);
  const aStatus = fc.constantFrom(...STATUSES);
  const anEvent = fc.oneof(
    { weight: 1, arbitrary: fc.tuple(id, id).map(([i, customer]) => create(i, customer)) },
    { weight: 6, arbitrary: fc.tuple(id, aStatus).map(([i, s]) => update(i, s)) },
  );
  /** Events in any order, each possibly redelivered anywhere later, or a long queue of early updates. */
  const log = fc.oneof(
    fc.array(anEvent, { maxLength: 30 }),
    fc
      .array(anEvent, { maxLength: 12 })
      .chain((events) => fc.shuffledSubarray([...events, ...events], { minLength: events.length * 2 })),
    fc
      .tuple(fc.integer({ min: 95, max: 110 }), aStatus, fc.array(anEvent, { maxLength: 20 }))
      .map(([early, s, rest]) => [...Array.from({ length: early }, (_, i) => update(`e${i}`, s)), ...rest]),
  );

  test("folds to what the reference says, and so does every redelivery of it", () => {
    fc.assert(
      fc.property(log, (events) => {
        const expected = reference(events);
        const { state, outcomes } = foldAll(events);
        expect(outcomes).toEqual(expected.outcomes);
        expect(state.order?.status).toBe(expected.status);
        expect(state.order?.created.customerId).toBe(expected.customerId);
        expect(state.eventIds.toArray()).toEqual(expected.counted);
        const counted = events.filter((_, i) => ["created", "updated", "held"].includes(expected.outcomes[i] ?? ""));
        expect(foldAll(counted, state)).toEqual({ state, outcomes: counted.map(() => "duplicate") });
      }),
      { numRuns: 400 },
    );
  });

  test("folds the same where the older ids are kept elsewhere", () => {
    fc.assert(
      fc.property(log, fc.integer({ min: 0, max: 3 }), (events, kept) => {
        const elsewhere = new Set<string>();
        let state = initialState;
        const outcomes = events.map((event) => {
          const { state: next, outcome } = evolve(state, event, ({ eventId }) => elsewhere.has(eventId));
          const ids = next.eventIds.toArray();
          for (const old of ids.splice(0, Math.max(0, ids.length - kept))) elsewhere.add(old);
          state = { order: next.order, held: next.held, eventIds: EventIds.of([], ids) };
          return outcome;
        });
        const whole = foldAll(events);
        expect(outcomes).toEqual(whole.outcomes);
        expect(state.order).toEqual(whole.state.order);
        expect(state.held).toEqual(whole.state.held);
      }),
      { numRuns: 200 },
    );
  });
});
