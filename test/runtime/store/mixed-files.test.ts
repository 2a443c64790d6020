import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, readdirSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../../src/runtime/store/store-file.ts";
import { BYTE_FILE_NAMES } from "../../../src/runtime/store/store-files.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { indexProjection } from "../../../src/services/cart/index/index-projection.ts";
import { OwnCreates } from "../../../src/services/cart/index/own-creates.ts";
import { cartProjections } from "../../../src/services/cart/projections.ts";
import { orderProjection } from "../../../src/services/orders/state/order-projection.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { openedFiles } from "../../support/stores/opened-files.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { throwsDamage } from "../../support/stores/throws-damage.ts";
import { withoutGenerations } from "../../support/stores/without-generations.ts";
import { saveEvents } from "../../tools/state/rig.ts";
import { answerFor, eventually, Rig } from "../rig.ts";
import { placingIn } from "../../support/events/placing.ts";

const ENDS = ["", ...BYTE_FILE_NAMES.map((name) => `-${name}`)];

/**
 * Copies a closed store's files, or some of them, by what their names end with. None gets shorter, as that alone would
 * be noticed.
 */
function copy(from: string, to: string, ends: readonly string[] = ENDS): void {
  for (const end of ends) {
    if (!existsSync(from + end)) continue;
    const size = statSync(to + end, { throwIfNoEntry: false })?.size ?? 0;
    copyFileSync(from + end, to + end);
    if (end !== "" && statSync(to + end).size < size) truncateSync(to + end, size);
  }
}

/** A rig with a closed store of generation 5, and beside it a backup of generation 2. */
async function twoGenerations() {
  const rig = new Rig();
  await rig.prepare(1);
  const path = rig.storePath("x", 0);
  const backup = join(rig.dir, "backup");
  const saved = async (orders: readonly string[]) => {
    for (const orderId of orders) {
      await rig.append(orderCreated({ orderId, eventId: `of ${orderId}` }));
      const set = rig.start("x", [0]);
      await eventually(() => answerFor(set, orderId) === "new");
      await set.close();
    }
  };
  await saved(["ORD-1", "ORD-2"]);
  copy(path, backup);
  await saved(["ORD-3", "ORD-4", "ORD-5"]);
  const setAside = () => readdirSync(rig.dir).filter((name) => name.includes(".set-aside-"));
  return { rig, path, backup, setAside, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
}

const generationIn = (path: string): unknown => {
  using db = new Database(path, { readonly: true });
  return db.query<{ generation: unknown }, []>("SELECT generation FROM position").get()?.generation;
};

describe("a backup that was put back in part", () => {
  test.each([
    ["the database alone", [""], "database is of generation 2, and the file of its records is of generation 5"],
    ["the records alone", ["-records"], "database is of generation 5, and the file of its records is of generation 2"],
    ["the creates alone", ["-creates"], "database is of generation 5, and the file of its creates is of generation 2"],
    ["the database and the records", ["", "-records"], "2, and the file of its creates is of generation 5"],
  ])("%s: is noticed, set aside and rebuilt from the log", async (_, ends, told) => {
    await using stores = await twoGenerations();
    const { rig, path, backup, setAside } = stores;
    copy(backup, path, ends);
    const set = rig.start("x", [0]);
    await eventually(() => answerFor(set, "ORD-5") === "new");
    expect(rig.warnings.join("\n")).toContain(told);
    expect(setAside()).toContain("x.0.sqlite.set-aside-0");
  });

  test("is left where it is where the log cannot rebuild it", async () => {
    await using stores = await twoGenerations();
    const { rig, path, backup, setAside } = stores;
    copy(backup, path, [""]);
    await rig.log.deleteRecords("orders", 0, 1);
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.state === "halted");
    expect(set.get(0)?.halted).toContain("left where it is");
    expect(setAside()).toEqual([]);
  });

  test("as a whole is used", async () => {
    await using stores = await twoGenerations();
    const { rig, path, backup, setAside } = stores;
    copy(backup, path);
    const set = rig.start("x", [0]);
    await eventually(() => answerFor(set, "ORD-5") === "new");
    expect([setAside(), generationIn(path)]).toEqual([[], 2]);
  });

  test("of an index is noticed", async () => {
    await using dir = await tempDir();
    const [path, backup] = [join(dir.path, "orders.sqlite"), join(dir.path, "backup")];
    const open = () => {
      const projections = cartProjections(indexProjection(new OwnCreates(), placingIn(3)));
      return PartitionStore.open(openedFiles(openDatabase(path, projections, { logId: "log", topic: "orders" })), projections, 0);
    };
    const save = async (n: number) => {
      const store = open();
      await saveEvents(store, orderCreated({ orderId: `ORD-${n}`, eventId: `${n}` }));
      store.close();
    };
    await save(1);
    copy(path, backup);
    for (const n of [2, 3, 4]) await save(n);
    copy(backup, path, [""]);
    expect(throwsDamage(open)).toBe(true);
    copy(backup, path);
    open().close();
  });
});

test.each(["records", "creates"] as const)(
  "the %s of another partition, as often saved, are noticed at the opening",
  async (name) => {
    await using dir = await tempDir();
    const pathOf = (partition: number) => join(dir.path, `orders.${partition}.sqlite`);
    const open = (partition: number) => {
      const identity = { logId: "log", topic: "orders", partition };
      const files = openedFiles(openDatabase(pathOf(partition), ORDER_SERVICE_PROJECTIONS, identity));
      return PartitionStore.open(files, ORDER_SERVICE_PROJECTIONS, partition);
    };
    for (const partition of [0, 1]) {
      const store = open(partition);
      await saveEvents(store, orderCreated({ orderId: `ORD-${partition}` }));
      store.close();
    }
    copyFileSync(`${pathOf(1)}-${name}`, `${pathOf(0)}-${name}`);
    expect(throwsDamage(() => open(0))).toBe(true);
    open(1).close();
  },
);

test("a store that was killed between the sync and the commit of a save is used", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, "orders.0.sqlite");
  const open = () => {
    const files = openedFiles(openDatabase(path, ORDER_SERVICE_PROJECTIONS, { logId: "log", topic: "orders" }));
    return new PartitionStore(files, ORDER_SERVICE_PROJECTIONS, 0, () => files.close());
  };
  for (let saves = 0; saves < 3; saves++) {
    const store = open();
    await saveEvents(store, orderCreated({ orderId: `ORD-${saves}`, eventId: `${saves}` }));
    store.keep(saves + 2, undefined);
    await store.save().synced;
    store.close();
  }
  const store = open();
  expect([store.nextOffset, generationIn(path)]).toEqual([3, 3]);
  expect(["ORD-0", "ORD-1", "ORD-2"].map((id) => store.view(orderProjection).order(id)?.status)).toEqual(["new", "new", "new"]);
  store.close();
});

test("a store whose positions are gone, and whose files say that there were some, is not taken for a new one", async () => {
  await using stores = await twoGenerations();
  const { rig, path, setAside } = stores;
  const db = new Database(path);
  db.run("DELETE FROM position");
  db.close();
  const set = rig.start("x", [0]);
  await eventually(() => answerFor(set, "ORD-5") === "new");
  expect(rig.warnings.join("\n")).toContain("The store's generation is gone");
  expect(setAside()).toContain("x.0.sqlite.set-aside-0");
});

test("a store from before generations were kept is taken as it is, and has one with its next save", async () => {
  await using stores = await twoGenerations();
  const { rig, path, setAside } = stores;
  const before = new Database(path);
  withoutGenerations(before);
  before.close();
  await rig.append(statusUpdated({ orderId: "ORD-4", eventId: "u", status: "shipped" }));
  const set = rig.start("x", [0]);
  await eventually(() => answerFor(set, "ORD-4") === "shipped");
  await set.close();
  expect(generationIn(path)).toBe(1);
  const again = rig.start("x", [0]);
  await eventually(() => answerFor(again, "ORD-4") === "shipped" && answerFor(again, "ORD-5") === "new");
  expect(setAside()).toEqual([]);
});
