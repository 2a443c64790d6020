import { describe, expect, test } from "bun:test";
import type { OrderEvent } from "../../../../src/orders/events/kinds.ts";
import { foldBatch } from "../../../../src/runtime/actor/fold-batch.ts";
import { BYTE_FILE_NAMES } from "../../../../src/runtime/store/store-files.ts";
import { orderProjection } from "../../../../src/services/orders/state/order-projection.ts";
import { STAMP_BYTES } from "../../../../src/runtime/store/file-stamp.ts";
import { batchOf } from "../../../support/events/blocks.ts";
import { orderCreated, recordOf, statusUpdated } from "../../../support/events/orders.ts";
import { MemoryFiles, saveAll } from "../../../support/stores/memory-files.ts";

function opened() {
  const files = new MemoryFiles([orderProjection]);
  return { files, store: orderProjection.open(files, 0) };
}

type Store = ReturnType<typeof opened>["store"];

/** Folds the events as one batch that begins at this offset. */
const fold = (store: Store, events: readonly OrderEvent[], offset = 0, hasBlocks = true) =>
  foldBatch(
    batchOf(
      events.map((event) => recordOf(event)),
      offset,
      hasBlocks,
    ),
    offset,
    store,
  );

function apply(store: Store, events: readonly OrderEvent[], hasBlocks = true): void {
  fold(store, events, 0, hasBlocks);
  store.keep();
}

const statusOf = ({ view }: Store, orderId = "ORD-1") => view.order(orderId)?.status;
const bytesOf = (files: MemoryFiles) => BYTE_FILE_NAMES.map((name) => files.bytes(name).toBuffer());

let uuids = 0;
const newUuid = () => `${String(uuids++).padStart(8, "0")}-0000-4000-8000-000000000000`;
const updates = (count: number, orderId = "ORD-1"): OrderEvent[] =>
  Array.from({ length: count }, () => statusUpdated({ orderId, eventId: newUuid(), status: "shipped" }));

describe("a query of the orders", () => {
  test("sees what is kept, saved or not, and nothing that is only folded", async () => {
    const { files, store } = opened();
    fold(store, [orderCreated(), statusUpdated({ orderId: "ORD-2", eventId: "early" })]);
    expect([statusOf(store), store.view.hasRow("ORD-2"), store.view.counts()]).toEqual([
      undefined,
      false,
      { orders: 0, held: 0 },
    ]);
    expect(store.view.orderIdsAfter("", 10)).toEqual([]);
    store.keep();
    const look = (): unknown[] => [statusOf(store), store.view.orderIdsAfter("", 10), store.view.counts()];
    const kept = ["new", ["ORD-1", "ORD-2"], { orders: 1, held: 1 }];
    expect(look()).toEqual(kept);
    const saving = store.save();
    expect(look()).toEqual(kept);
    await saving.synced;
    files.db.transaction(() => saving.write())();
    expect(look()).toEqual(kept);
    saving.committed();
    expect(look()).toEqual(kept);
  });

  test("lists saved and unsaved ids together, ascending by code unit, page by page", async () => {
    const { files, store: before } = opened();
    const [fifteen, twentyOne] = ["ORD-100000000000000", "ORD-100000000000000000000"];
    const ids = ["ORD-1", "ORD-10", "ORD-100", fifteen, twentyOne, "ORD-10000000000001", "ORD-11", "ORD-2"];
    const isSaved = (n: number) => n % 3 > 0;
    const create = (orderId: string) => orderCreated({ orderId, eventId: orderId });
    apply(before, ids.filter((_, n) => isSaved(n)).map(create));
    await saveAll(before, files);
    const store = orderProjection.open(files, 0);
    apply(store, ids.filter((_, n) => !isSaved(n)).map(create));
    expect(store.view.orderIdsAfter("", 100)).toEqual(ids);
    for (const [n, after] of ids.entries()) {
      expect(store.view.orderIdsAfter(after, 100)).toEqual(ids.slice(n + 1));
      expect(store.view.orderIdsAfter(after, 2)).toEqual(ids.slice(n + 1, n + 3));
    }
    expect(store.view.orderIdsAfter("ORD-1999", 100)).toEqual(["ORD-2"]);
    expect(store.view.orderIdsAfter("A", 1)).toEqual(["ORD-1"]);
    expect(store.view.orderIdsAfter("Z", 1)).toEqual([]);
  });
});

describe("what is folded and not kept", () => {
  test("is forgotten without a trace: ids that would have left their record, creates, and what they would have counted", async () => {
    const before = [orderCreated(), ...updates(60)];
    const [forgotten, after] = [
      [orderCreated({ orderId: "ORD-2" }), ...updates(60), orderCreated({ orderId: "ORD-123456789012345678" })],
      [...updates(3), orderCreated({ orderId: "ORD-3", eventId: "c" })],
    ];
    const run = async (isFolded: boolean) => {
      const { files, store } = opened();
      apply(store, before);
      if (isFolded) {
        fold(store, forgotten);
        store.reset();
        expect(store.keep()).toMatchObject({ applied: 0, duplicate: 0 });
      }
      apply(store, after);
      await saveAll(store, files);
      return { files, digest: store.digest, rows: store.view.rowsAfter("", 100).length };
    };
    const [with_, without] = [await run(true), await run(false)];
    expect([with_.digest, with_.rows]).toEqual([without.digest, without.rows]);
    expect(bytesOf(with_.files)).toEqual(bytesOf(without.files));
  });

  test("can be folded again, with the same outcome", () => {
    const { store } = opened();
    const events = [orderCreated(), ...updates(70)];
    fold(store, events);
    store.reset();
    fold(store, events);
    expect(store.keep()).toMatchObject({ applied: 71, duplicate: 0 });
  });
});

describe("a saving", () => {
  test("has what was kept when it began; an order that changes during it is saved by the next", async () => {
    const { files, store } = opened();
    apply(store, [orderCreated(), orderCreated({ orderId: "ORD-2", eventId: "c" })]);
    const saving = store.save();
    expect(store.unsaved).toBe(0);
    apply(store, [statusUpdated({ status: "shipped" })]);
    expect(store.unsaved).toBe(1);
    await saving.synced;
    files.db.transaction(() => saving.write())();
    saving.committed();
    expect([statusOf(store), statusOf(orderProjection.open(files, 0))]).toEqual(["shipped", "new"]);
    await saveAll(store, files);
    const again = orderProjection.open(files, 0);
    expect([statusOf(again), again.digest, again.view.counts().orders]).toEqual(["shipped", store.digest, 2]);
  });

  test("that is given up leaves its orders to the next one", async () => {
    const { files, store } = opened();
    apply(store, [orderCreated(), ...updates(70)]);
    const saving = store.save();
    await saving.synced;
    apply(store, [orderCreated({ orderId: "ORD-2", eventId: "c" }), ...updates(1)]);
    saving.abandoned();
    expect(store.unsaved).toBe(2);
    await saveAll(store, files);
    const again = orderProjection.open(files, 0);
    expect([again.digest, again.view.rowsAfter("", 1)[0]?.eventIds.length]).toEqual([store.digest, 72]);
  });

  test("writes once what a create said, however often its order changes", async () => {
    const { files, store } = opened();
    for (let n = 0; n < 5; n++) {
      apply(store, [orderCreated({ orderId: `ORD-${n}`, eventId: `c${n}` }), ...updates(3, "ORD-0")]);
      await saveAll(store, files);
    }
    const creates = files.bytes("creates");
    expect(creates.bytesWritten).toBe(creates.size + 5 * STAMP_BYTES);
  });
});

describe("an order with more events than its record keeps the ids of", () => {
  test("still counts each once, also after it was saved and opened again (I4)", async () => {
    for (const orderId of ["ORD-1", "ORD-123456789012345678"]) {
      const { files, store } = opened();
      const events = [orderCreated({ orderId }), ...updates(200, orderId)];
      apply(store, events);
      await saveAll(store, files);
      const again = orderProjection.open(files, 0);
      for (const hasBlocks of [true, false]) {
        fold(again, events, 0, hasBlocks);
        expect(again.keep()).toMatchObject({ applied: 0, duplicate: 201 });
      }
      expect([again.digest, again.unsaved]).toEqual([store.digest, 0]);
      expect(new Set(again.view.rowsAfter("", 1)[0]?.eventIds).size).toBe(201);
    }
  });
});

describe("an order that is no longer in memory", () => {
  test("is read again, as it was, by queries and by the next event of it", async () => {
    const { files, store } = opened();
    const ORDERS = 70_000;
    const created = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, n) => orderCreated({ orderId: `ORD-${from + n}`, eventId: `c${from + n}` }));
    for (let from = 0; from < ORDERS; from += 10_000) {
      apply(store, created(from, from + 10_000));
      await saveAll(store, files);
    }
    apply(store, [statusUpdated({ orderId: "ORD-7", status: "shipped" }), ...created(5, 6)]);
    expect([statusOf(store, "ORD-7"), statusOf(store, "ORD-8"), store.view.counts()]).toEqual([
      "shipped",
      "new",
      { orders: ORDERS, held: 0 },
    ]);
    expect(store.unsaved).toBe(1);
  });

  test("is not taken for one that does not exist where it cannot be read", async () => {
    const { files, store } = opened();
    apply(store, [orderCreated()]);
    await saveAll(store, files);
    const again = orderProjection.open(files, 0);
    files.bytes("records").fault = () => {
      throw Object.assign(new Error("the disk cannot be read"), { code: "EIO" });
    };
    const shipped = [statusUpdated({ status: "shipped" })];
    expect(() => fold(again, shipped)).toThrow("cannot be read");
    again.reset();
    expect(() => again.view.order("ORD-1")).toThrow("cannot be read");
    files.bytes("records").fault = undefined;
    apply(again, shipped);
    expect([statusOf(again), again.view.counts()]).toEqual(["shipped", { orders: 1, held: 0 }]);
  });
});

test("the first and the last record of a batch that change an answer are its news", () => {
  const { store } = opened();
  const early = statusUpdated({ orderId: "ORD-2", eventId: "early" });
  const events = [early, orderCreated(), orderCreated(), ...updates(2), early];
  for (const hasBlocks of [true, false]) {
    fold(store, events, 10, hasBlocks);
    expect(store.news?.map(({ offset }) => offset)).toEqual([11, 14]);
    store.reset();
    expect(store.news).toEqual([]);
  }
});
