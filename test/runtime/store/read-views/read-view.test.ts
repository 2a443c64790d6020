import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { kindsIn, storeKindOf } from "../../../../src/runtime/projections.ts";
import { moveAside } from "../../../../src/runtime/store/store-file.ts";
import { readView, scanViews } from "../../../../src/runtime/store/read-views/reading-views.ts";
import { ReadView } from "../../../../src/runtime/store/read-views/read-view.ts";
import { orderProjection } from "../../../../src/services/orders/state/order-projection.ts";
import { SavedOrders } from "../../../../src/services/orders/state/saved-orders.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { logRecordOf, orderCreated } from "../../../support/events/orders.ts";
import { damage } from "../../../support/stores/store-faults.ts";
import { tempDir } from "../../../support/stores/temp-dir.ts";
import { LOG, openOrders, ordersStore, TOPIC } from "../../../tools/state/rig.ts";

const create = (n: number) => orderCreated({ orderId: `ORD-${n}`, eventId: `e${n}` });
const ordersIn = (view: ReadView): number => new SavedOrders(view.files).figures().orders;

/** An open store with an order in it. `save` saves one more at once, without waiting for the disk. */
async function openStore() {
  const dir = await tempDir();
  const path = join(dir.path, `${TOPIC}.0.sqlite`);
  const store = openOrders(path);
  let next = 0;
  const save = (): void => {
    store.projections.fold(logRecordOf(create(next), next));
    store.keep(++next, undefined);
    store.save().commit();
  };
  save();
  const dispose = async () => {
    store.close();
    await dir[Symbol.asyncDispose]();
  };
  return { path, store, save, [Symbol.asyncDispose]: dispose };
}

/** Fails as if the read view were damaged, after `meanwhile`, the first `times`; then counts the orders. */
function failing(times: number, meanwhile: () => void) {
  const reading = {
    reads: 0,
    read: (view: ReadView): number => {
      if (reading.reads++ === times) return ordersIn(view);
      meanwhile();
      throw damage();
    },
  };
  return reading;
}

test("a read view says what the store holds, of which log, and how far", async () => {
  await using rig = await openStore();
  using view = new ReadView(rig.path);
  expect(view.projections).toEqual([{ name: "orders", version: expect.any(Number) }]);
  expect(view).toMatchObject({ logId: LOG, topic: TOPIC, positions: [{ partition: 0, nextOffset: 1, firstOffset: 0 }] });
});

test("which projections a store holds is told by what its file is known as", () => {
  const one = { ...orderProjection, name: "orders", version: 4 };
  const other = { ...orderProjection, name: "customers", version: 1 };
  expect(kindsIn(storeKindOf([one]))).toEqual([{ name: "orders", version: 4 }]);
  expect(kindsIn(storeKindOf([one, other]))).toEqual([
    { name: "customers", version: 1 },
    { name: "orders", version: 4 },
  ]);
});

test("a read view stays as it is while the store is saved, which need not wait for it", async () => {
  await using rig = await openStore();
  using view = new ReadView(rig.path);
  rig.save();
  expect(ordersIn(view)).toBe(1);
  expect(readView(rig.path, ordersIn)).toBe(2);
});

test("a read view knows whether the store was saved, or replaced, since", async () => {
  await using rig = await openStore();
  using view = new ReadView(rig.path);
  expect(view.isLatest()).toBe(true);
  rig.save();
  expect(view.isLatest()).toBe(false);
  const other = `${rig.path}.other`;
  await ordersStore(other, [create(0)]);
  using before = new ReadView(other);
  moveAside(other, 0);
  await ordersStore(other, [create(0)]);
  expect(before.isLatest()).toBe(false);
});

test("what looks like damage is read again if the store was saved meanwhile, a bounded number of times", async () => {
  await using rig = await openStore();
  const twice = failing(2, rig.save);
  expect(readView(rig.path, twice.read)).toBe(3);
  const always = failing(Number.POSITIVE_INFINITY, rig.save);
  expect(() => readView(rig.path, always.read)).toThrow("is damaged");
  expect(always.reads).toBe(10);
});

test("damage is told at once if the store was not saved meanwhile", async () => {
  await using rig = await openStore();
  const damaged = failing(Number.POSITIVE_INFINITY, () => undefined);
  expect(() => readView(rig.path, damaged.read)).toThrow("is damaged");
  expect(damaged.reads).toBe(1);
});

test("what was read of a closed store is read again if a service that was started meanwhile has changed it", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, `${TOPIC}.0.sqlite`);
  await ordersStore(path, [create(0)]);
  let reads = 0;
  const orders = readView(path, (view) => {
    if (reads++ === 0) {
      const store = openOrders(path);
      store.projections.fold(logRecordOf(create(1), 1));
      store.keep(2, undefined);
      store.save().commit();
      store.close();
    }
    return ordersIn(view);
  });
  expect({ reads, orders }).toEqual({ reads: 2, orders: 2 });
});

describe("a scan", () => {
  const idsOf = (path: string, onRow: (orderId: string) => boolean, clock = systemClock): string[] => {
    const ids: string[] = [];
    const rows = ({ files }: ReadView, after: string) => new SavedOrders(files).rowsAfter(after);
    for (const _ of scanViews(path, clock, rows, ({ orderId }) => onRow(orderId) || ids.push(orderId) < 0)) continue;
    return ids;
  };

  test("goes on behind the last row in the store as it is then, after damage that was none", async () => {
    await using rig = await openStore();
    for (let n = 1; n < 5; n++) rig.save();
    let fails = 2;
    const ids = idsOf(rig.path, (orderId) => {
      if (orderId !== "ORD-3" || fails-- <= 0) return false;
      rig.save();
      throw damage();
    });
    expect(ids).toEqual(["ORD-0", "ORD-1", "ORD-2", "ORD-3", "ORD-4", "ORD-5", "ORD-6"]);
  });

  test("has no read view open while it yields", async () => {
    await using rig = await openStore();
    rig.save();
    const views: ReadView[] = [];
    const rows = ({ files }: ReadView, after: string) => new SavedOrders(files).rowsAfter(after);
    const scan = scanViews(rig.path, systemClock, rows, (_, view) => views.push(view) > 0);
    scan.next();
    expect(() => ordersIn(views[0]!)).toThrow("closed");
    scan.next();
    expect(scan.next().done).toBe(true);
    expect(views).toHaveLength(2);
  });
});
