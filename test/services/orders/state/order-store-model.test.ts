import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { NewRecord } from "../../../../src/log/port.ts";
import { digestOf } from "../../../../src/orders/digest.ts";
import { readChange, writeChange } from "../../../../src/orders/events/kinds.ts";
import type { OrderEvent } from "../../../../src/orders/events/kinds.ts";
import { type Order, STATUSES, type Status } from "../../../../src/orders/order.ts";
import { foldBatch } from "../../../../src/runtime/actor/fold-batch.ts";
import type { Saving } from "../../../../src/runtime/projection.ts";
import { orderProjection } from "../../../../src/services/orders/state/order-projection.ts";
import type { OrderRow } from "../../../../src/services/orders/state/orders-view.ts";
import { foldPartition } from "../../../reference/reference.ts";
import { batchOf } from "../../../support/events/blocks.ts";
import { anOrder, orderCreated, recordOf, statusUpdated } from "../../../support/events/orders.ts";
import { plainOrder } from "../../../support/events/plain-state.ts";
import { MemoryFiles } from "../../../support/stores/memory-files.ts";
import { diskFull } from "../../../support/stores/store-faults.ts";

const orderIds = ["ORD-1", "ORD-2", "ORD-01", "ORD-10", "ORD-99999999999999", "ORD-123456789012345", `ORD-${"9".repeat(30)}`];

const uuid = (n: number) => `${String(n).padStart(8, "0")}-0000-4000-8000-000000000000`;
/** Few ids, UUIDs and others, so that many events come twice. */
const someEventId = fc.oneof(
  fc.nat(30).map(uuid),
  fc.nat(30).map((n) => `e${n}`),
);
const someOrderId = fc.constantFrom(...orderIds);
const someStatus = fc.constantFrom(...STATUSES);

const aCreate = fc
  .record({ orderId: someOrderId, eventId: someEventId, customerId: fc.constantFrom("C1", 'C "2"'), status: someStatus })
  .map(({ customerId, status, ...head }) => [orderCreated({ ...head, order: { customerId, status } })]);
const anUpdate = fc
  .record({ orderId: someOrderId, eventId: someEventId, status: someStatus })
  .map((update) => [statusUpdated(update)]);
/** More events of one order than its record keeps the ids of, or than may wait for the create. */
const aBurst = fc
  .record({
    orderId: fc.constantFrom("ORD-1", "ORD-123456789012345"),
    count: fc.integer({ min: 60, max: 130 }),
    isText: fc.boolean(),
    status: someStatus,
  })
  .map(({ orderId, count, isText, status }) =>
    Array.from({ length: count }, (_, n) =>
      statusUpdated({ orderId, status, eventId: isText ? `a text that is no UUID ${n}` : uuid(n) }),
    ),
  );
/** Events, which all may come once more. */
const aLog: fc.Arbitrary<readonly OrderEvent[]> = fc
  .tuple(
    fc.boolean(),
    fc.array(fc.oneof({ weight: 6, arbitrary: aCreate }, { weight: 8, arbitrary: anUpdate }, { weight: 3, arbitrary: aBurst }), {
      maxLength: 25,
    }),
  )
  .map(([isRedelivered, parts]) => (isRedelivered ? [...parts, ...parts] : parts).flat());

type Step =
  | { readonly do: "fold"; readonly records: number; readonly hasBlocks: boolean }
  | { readonly do: "keep" | "reset" | "save" | "commit" | "abandon" | "fail to write" | "fail to commit" | "reopen" };

const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("fold" as const), records: fc.integer({ min: 1, max: 80 }), hasBlocks: fc.boolean() }),
  },
  { weight: 5, arbitrary: fc.constant({ do: "keep" as const }) },
  { weight: 3, arbitrary: fc.constantFrom({ do: "save" as const }, { do: "commit" as const }) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom("reset" as const, "abandon" as const, "fail to write" as const, "fail to commit" as const, "reopen" as const)
      .map((step) => ({ do: step })),
  },
);

/** A row as both tell it. */
const plainRow = ({ orderId, order, held, eventIds }: OrderRow) => ({
  orderId,
  order: order && plainOrder(order),
  held: held.map(writeChange),
  eventIds: eventIds.toSorted(),
});

/** The rows that the reference says the log leads to, ascending by id. */
function referenceRows(log: readonly NewRecord[]): OrderRow[] {
  const { orders, held, counted } = foldPartition(
    log.map(({ key, value }, offset) => ({ partition: 0, offset, key: String(key), value: String(value), isPoison: false })),
  );
  const ids = [...new Set([...orders.keys(), ...held.keys()])].toSorted();
  return ids.map((orderId) => {
    const found = orders.get(orderId);
    const order: Order | undefined =
      found &&
      anOrder({
        orderId,
        customerId: found.customerId,
        orderDate: found.orderDate,
        items: found.items.map(({ price, ...item }) => ({ ...item, price_hundredths: Math.round(price * 100) })),
        total_hundredths: Math.round(found.totalAmount * 100),
        currency: found.currency,
        status: found.status as Status,
      });
    const changes = (held.get(orderId) ?? []).map((word) => readChange(word)!);
    const eventIds = [...counted].flatMap((once) => (once.startsWith(`${orderId} `) ? [once.slice(orderId.length + 1)] : []));
    return { orderId, order, held: changes, eventIds };
  });
}

/**
 * The store, and how far it should be. As the applier does, it keeps or forgets each batch that it has folded before it
 * does anything else; only a crash may come in between.
 */
class Driven {
  readonly files = new MemoryFiles([orderProjection]);
  #store;
  #folded = 0;
  #kept = 0;
  #saved = 0;
  #saving: { readonly saving: Saving; readonly to: number } | undefined;

  constructor(
    readonly log: readonly NewRecord[],
    readonly chance: () => number,
  ) {
    // So few rows stay in memory after they are saved that orders are read again and again.
    Reflect.set(Reflect.get(this.files, "memory") ?? {}, "cachedRows_max", 2);
    this.#store = orderProjection.open(this.files, 0);
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case "fold":
        return this.#fold(step.records, step.hasBlocks);
      case "keep":
        this.#store.keep();
        this.#kept = this.#folded;
        return;
      case "reset":
        this.#store.reset();
        this.#folded = this.#kept;
        return;
      case "save":
        return this.#save();
      case "commit":
        return this.#commit();
      case "fail to commit":
        return this.#failToCommit();
      case "fail to write":
        return this.#failToWrite();
      case "abandon":
        return this.#abandon();
      case "reopen":
        return this.#reopen();
    }
  }

  get isAtEnd(): boolean {
    return this.#folded === this.log.length;
  }

  /** Whether nothing folded waits to be kept. */
  get #isSettled(): boolean {
    return this.#folded === this.#kept;
  }

  #fold(records: number, hasBlocks: boolean): void {
    if (!this.#isSettled) return;
    const batch = batchOf(this.log.slice(this.#folded, this.#folded + records), this.#folded, hasBlocks);
    foldBatch(batch, this.#folded, this.#store);
    this.#folded = batch.nextOffset;
  }

  get #maySave(): boolean {
    return this.#saving === undefined && this.#isSettled;
  }

  #save(): void {
    if (this.#maySave) this.#saving = { saving: this.#store.save(), to: this.#kept };
  }

  async #commit(): Promise<void> {
    if (this.#saving === undefined || !this.#isSettled) return;
    const { saving, to } = this.#saving;
    await saving.synced;
    this.files.db.transaction(() => saving.write())();
    saving.committed();
    this.#saved = to;
    this.#saving = undefined;
  }

  #abandon(): void {
    if (!this.#isSettled) return;
    this.#saving?.saving.abandoned();
    this.#saving = undefined;
  }

  async #failToCommit(): Promise<void> {
    if (this.#saving === undefined || !this.#isSettled) return;
    const { saving } = this.#saving;
    await saving.synced;
    const failing = this.files.db.transaction(() => {
      saving.write();
      throw diskFull();
    });
    expect(failing).toThrow("full");
    // The transaction is tried again, or given up.
    if (this.chance() < 0.5) this.#abandon();
  }

  #failToWrite(): void {
    if (!this.#maySave || this.#store.unsaved === 0) return;
    const file = this.files.bytes(this.chance() < 0.5 ? "records" : "creates");
    file.fault = (call) => {
      if (call === "write") throw diskFull();
    };
    try {
      this.#store.save().abandoned();
    } catch (e) {
      expect(String(e)).toContain("full");
    }
    file.fault = undefined;
  }

  /** The process is killed and the power cut; a saving under way comes to nothing. */
  #reopen(): void {
    this.#saving = undefined;
    this.files.crash(this.chance);
    this.#store = orderProjection.open(this.files, 0);
    this.#folded = this.#kept = this.#saved;
  }

  /** Compares all answers with what the reference says of everything that is kept. */
  check(): void {
    const { view, digest } = this.#store;
    const rows = referenceRows(this.log.slice(0, this.#kept));
    expect(digest).toBe(digestOf(rows));
    const orders = rows.filter(({ order }) => order !== undefined).length;
    expect(view.counts()).toEqual({ orders, held: rows.reduce((sum, { held }) => sum + held.length, 0) });
    for (const { orderId, order } of rows) {
      const found = view.order(orderId);
      expect(found && plainOrder(found)).toEqual(order && plainOrder(order));
      expect(view.hasRow(orderId)).toBe(true);
    }
    expect(view.hasRow("ORD-7")).toBe(false);
    const paged: string[] = [];
    for (let pages = 0; pages <= rows.length / 2; pages++) paged.push(...view.orderIdsAfter(paged.at(-1) ?? "", 2));
    expect(paged).toEqual(rows.map(({ orderId }) => orderId));
    if (!this.#isSettled) return;
    expect(view.rowsAfter("", 100).map(plainRow)).toEqual(rows.map(plainRow));
  }
}

test("however records are folded, kept, forgotten, saved, given up and lost: what is kept is what the reference says (I2, I3)", async () => {
  await fc.assert(
    fc.asyncProperty(
      aLog,
      fc.array(aStep, { minLength: 5, maxLength: 60 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      async (events, steps, chances) => {
        const driven = new Driven(
          events.map((event) => recordOf(event)),
          () => chances.next().value as number,
        );
        for (const step of steps) {
          await driven.take(step);
          driven.check();
        }
        // Whatever happened, all can be applied and saved.
        for (const step of ["reset", "abandon"] as const) await driven.take({ do: step });
        for (let batches = 1; !driven.isAtEnd; batches++) {
          // What comes during a saving is not among it.
          await driven.take({ do: "save" });
          await driven.take({ do: "fold", records: 60, hasBlocks: true });
          for (const step of ["keep", "commit"] as const) await driven.take({ do: step });
          if (batches % 3 === 0) await driven.take({ do: "reopen" });
          driven.check();
        }
        for (const step of ["save", "commit", "reopen"] as const) await driven.take({ do: step });
        driven.check();
      },
    ),
    { numRuns: 200 },
  );
}, 60_000);
