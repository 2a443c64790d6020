import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { NewRecord } from "../../../../src/log/port.ts";
import { EVENT_HEADERS } from "../../../../src/log/record-headers.ts";
import { foldBatch } from "../../../../src/runtime/actor/fold-batch.ts";
import type { ProjectionStore, Saving } from "../../../../src/runtime/projection.ts";
import {
  eventIdOfKey,
  indexProjection,
  type IndexedOrder,
  type IndexView,
  type KeyedEvent,
} from "../../../../src/services/cart/index/index-projection.ts";
import { OwnCreates } from "../../../../src/services/cart/index/own-creates.ts";
import { batchOf } from "../../../support/events/blocks.ts";
import { orderCreated, recordOf, statusUpdated } from "../../../support/events/orders.ts";
import { MemoryFiles } from "../../../support/stores/memory-files.ts";
import { diskFull } from "../../../support/stores/store-faults.ts";
import { placingIn } from "../../../support/events/placing.ts";

const PARTITIONS = 1;
const LONG_ID = "ORD-123456789012345678";
const orderIds = ["ORD-1", "ORD-01", "ORD-10", "ORD-2", "ORD-99999999999999", LONG_ID];
const keys = ["key-1", "key-2"];

/** What is appended to a partition: an event, and the fingerprint of its request if it had an idempotency key. */
interface Appended {
  readonly orderId: string;
  readonly eventId: string;
  readonly isCreate: boolean;
  readonly fingerprint: string | undefined;
}

const someOrder = fc.constantFrom(...orderIds);
const anAppended: fc.Arbitrary<Appended> = fc.oneof(
  fc.record({
    orderId: someOrder,
    eventId: fc.oneof(fc.uuid({ version: 4 }), fc.constantFrom("a text", 'a "quoted" one')),
    isCreate: fc.boolean(),
    fingerprint: fc.constant(undefined),
  }),
  fc
    .record({ orderId: someOrder, key: fc.constantFrom(...keys), isCreate: fc.boolean() })
    .map(({ orderId, key, isCreate }) => ({ orderId, isCreate, eventId: eventIdOfKey(key), fingerprint: `${key} ${orderId}` })),
);

function record({ orderId, eventId, isCreate, fingerprint }: Appended): NewRecord {
  const event = isCreate ? orderCreated({ orderId, eventId }) : statusUpdated({ orderId, eventId });
  return recordOf(event, fingerprint === undefined ? {} : { headers: [[EVENT_HEADERS.fingerprint, fingerprint]] });
}

type Step =
  | { readonly do: "fold"; readonly partition: number; readonly records: number; readonly hasBlocks: boolean }
  | { readonly do: "save" | "forget" | "abandon"; readonly partition: number }
  | { readonly do: "commit" | "fail to write" | "reopen" };

const partition = fc.nat(PARTITIONS - 1);
const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("fold" as const),
      partition,
      records: fc.integer({ min: 1, max: 8 }),
      hasBlocks: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("save" as const), partition }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("commit" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("abandon" as const, "forget" as const), partition }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("fail to write" as const, "reopen" as const) }) },
);

interface Position {
  readonly log: readonly Appended[];
  store: ProjectionStore<IndexView>;
  kept: number;
  saved: number;
}

interface BegunSaving {
  readonly partition: number;
  readonly saving: Saving;
  readonly to: number;
}

const placeOf = ({ fingerprint, orderId, partition: n, offset }: KeyedEvent): KeyedEvent => ({
  fingerprint,
  orderId,
  partition: n,
  offset,
});

/** The index of all partitions, and how far each of them should be. */
class Driven {
  readonly #files;
  readonly #partitions: Position[];
  /** The savings under way, in the order in which they began: one for each partition at most. */
  #savings: BegunSaving[] = [];

  constructor(logs: readonly (readonly Appended[])[]) {
    this.#files = new MemoryFiles([indexProjection(new OwnCreates(), placingIn(3))]);
    this.#partitions = logs.map((log) => ({ log, kept: 0, saved: 0, store: undefined as never }));
    this.#open();
  }

  #open(): void {
    const projection = indexProjection(new OwnCreates(), placingIn(3));
    for (const [n, one] of this.#partitions.entries()) {
      one.store = projection.open(this.#files, n);
      one.kept = one.saved;
    }
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case "fold":
        this.#fold(step.partition, step.records, step.hasBlocks);
        this.#partitions[step.partition]!.store.keep();
        return;
      case "forget": {
        const { kept, store } = this.#partitions[step.partition]!;
        this.#fold(step.partition, 8, true);
        store.reset();
        this.#partitions[step.partition]!.kept = kept;
        return;
      }
      case "save":
        return this.#save(step.partition);
      case "abandon":
        for (const { saving } of this.#takeSavings((one) => one.partition === step.partition)) saving.abandoned();
        return;
      case "commit":
        return this.#commit();
      case "fail to write":
        return this.#failToWrite();
      case "reopen":
        this.#savings = [];
        this.#files.crash();
        this.#open();
    }
  }

  /** Applies and saves everything. */
  async finish(): Promise<void> {
    while (this.#savings.length > 0) await this.#commit();
    for (const n of this.#partitions.keys()) {
      this.#fold(n, Number.POSITIVE_INFINITY, true);
      this.#partitions[n]!.store.keep();
      this.#save(n);
      await this.#commit();
    }
  }

  #fold(n: number, records: number, hasBlocks: boolean): void {
    const one = this.#partitions[n]!;
    const batch = batchOf(one.log.slice(one.kept, one.kept + records).map(record), one.kept, hasBlocks);
    foldBatch(batch, one.kept, one.store);
    one.kept = batch.nextOffset;
  }

  #takeSavings(isTaken: (one: BegunSaving) => boolean): BegunSaving[] {
    const taken = this.#savings.filter(isTaken);
    this.#savings = this.#savings.filter((one) => !isTaken(one));
    return taken;
  }

  #save(n: number): void {
    const { store, kept } = this.#partitions[n]!;
    if (!this.#savings.some((one) => one.partition === n)) this.#savings.push({ partition: n, saving: store.save(), to: kept });
  }

  /** Commits the saving that began first; the others wait for it. */
  async #commit(): Promise<void> {
    const [first] = this.#savings.splice(0, 1);
    if (first === undefined) return;
    await first.saving.synced;
    this.#files.db.transaction(() => first.saving.write())();
    first.saving.committed();
    this.#partitions[first.partition]!.saved = first.to;
  }

  async #failToWrite(): Promise<void> {
    if (this.#savings.length > 0) return;
    const file = this.#files.bytes("records");
    file.fault = (call) => {
      if (call !== "read") throw diskFull();
    };
    const { store } = this.#partitions[0]!;
    if (store.unsaved > 0) expect(() => store.save()).toThrow();
    file.fault = undefined;
  }

  /** Compares all answers with a plain look through everything that is kept. */
  check(): void {
    const kept = this.#partitions.flatMap(({ log, kept: to }, n) =>
      log.slice(0, to).map((appended, offset) => ({ ...appended, partition: n, offset })),
    );
    for (const orderId of [...orderIds, "ORD-7"]) {
      const first = kept.find((one) => one.isCreate && one.orderId === orderId);
      const expected: IndexedOrder | undefined = first && {
        partition: first.partition,
        offset: first.offset,
        eventId: first.eventId,
      };
      for (const { store } of this.#partitions) expect(store.view.order(orderId)).toEqual(expected);
      for (const eventId of keys.map(eventIdOfKey)) this.#checkKeyed(kept, orderId, eventId);
    }
  }

  #checkKeyed(kept: readonly (Appended & { partition: number; offset: number })[], orderId: string, eventId: string): void {
    const answered = this.#partitions[0]!.store.view.keyedEvent(eventId, orderId);
    const found = answered && placeOf(answered);
    const all = kept.flatMap((one): KeyedEvent[] =>
      one.eventId === eventId && one.fingerprint !== undefined ? [placeOf({ ...one, fingerprint: one.fingerprint })] : [],
    );
    const ofOrder = all.filter((one) => one.orderId === orderId);
    // Of an order's events under one id in one partition the first counts; of those in several, any first one.
    const first = [...Map.groupBy(ofOrder, (one) => one.partition).values()].map(([one]) => one);
    if (ofOrder.length > 0) expect(first).toContainEqual(found as KeyedEvent);
    else if (all.length > 0) expect(all).toContainEqual(found as KeyedEvent);
    else expect(found).toBeUndefined();
  }
}

describe("the cart's index", () => {
  test("has of each order the first create, however it is saved, given up and lost", async () => {
    const logs = fc.array(fc.array(anAppended, { maxLength: 30 }), { minLength: PARTITIONS, maxLength: PARTITIONS });
    await fc.assert(
      fc.asyncProperty(logs, fc.array(aStep, { maxLength: 60 }), async (given, steps) => {
        const driven = new Driven(given);
        for (const step of steps) {
          await driven.take(step);
          driven.check();
        }
        await driven.finish();
        driven.check();
        await driven.take({ do: "reopen" });
        driven.check();
      }),
      { numRuns: 400 },
    );
  }, 60_000);

  test("keeps the first create of an order, saved or not", async () => {
    for (const orderId of ["ORD-1", LONG_ID])
      for (const isSaved of [true, false]) {
        const create = { orderId, eventId: "a", isCreate: true, fingerprint: undefined };
        const driven = new Driven([[create, { ...create, eventId: "b" }]]);
        for (let n = 0; n < 2; n++) {
          await driven.take({ do: "fold", partition: 0, records: 1, hasBlocks: true });
          if (isSaved) for (const step of ["save", "commit"] as const) await driven.take({ do: step, partition: 0 });
          driven.check();
        }
      }
  });
});
