import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { STAMP_BYTES } from "../../../src/runtime/store/file-stamp.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { moveAside } from "../../../src/runtime/store/store-file.ts";
import { holderOf, runningCart } from "./processes.ts";
import { linesOf, LOG, openIndex, openOrders, ordersStore, saveEvents, type StoreOptions, state, TOPIC } from "./rig.ts";

/** Where a process with this data directory keeps the store of a partition. */
function storeIn(dataDir: string, claim: string, partition: number, { logId = LOG, topic = TOPIC }: StoreOptions = {}): string {
  const path = join(dataDir, "state", logId, claim, `${topic}.${partition}.sqlite`);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}

async function indexIn(dataDir: string, partition = 0, orderIds: readonly string[] = ["ORD-1", "ORD-20"]): Promise<string> {
  const path = join(dataDir, "state", LOG, "cart-0", `${TOPIC}.${partition}.sqlite`);
  mkdirSync(dirname(path), { recursive: true });
  const store = openIndex(path, partition);
  await saveEvents(store, ...orderIds.map((orderId, n) => orderCreated({ orderId, eventId: "ab"[n]! })));
  store.close();
  return path;
}

const change = (path: string, at: number): void => {
  const bytes = readFileSync(path);
  bytes[at]! ^= 0x10;
  writeFileSync(path, bytes);
};

const alter = (path: string, sql: string): void => {
  using db = new Database(path);
  db.run(sql);
};

test("a data directory: the stores of all its processes, and neither the embedded log nor what was set aside", async () => {
  await using dir = await tempDir();
  writeFileSync(join(dir.path, "log.sqlite"), "the embedded log");
  for (const partition of [0, 2, 10]) {
    const path = storeIn(dir.path, "order-service-0", partition);
    await ordersStore(path, [orderCreated({ orderId: `ORD-${partition}` })], { partition });
  }
  moveAside(storeIn(dir.path, "order-service-0", 2), 17);
  await indexIn(dir.path);
  const stores = linesOf(await state(dir.path, "--json"));
  expect(stores.map(({ holds, partitions }) => [holds, partitions])).toEqual([
    ["index", [{ partition: 0, nextOffset: 2, firstOffset: 0 }]],
    ["orders", [{ partition: 0, nextOffset: 1, firstOffset: 0 }]],
    ["orders", [{ partition: 10, nextOffset: 1, firstOffset: 0 }]],
  ]);
  const aside = `${storeIn(dir.path, "order-service-0", 2)}.set-aside-17`;
  expect(linesOf(await state(aside, "--orders"))).toMatchObject([{ partition: 2, orderId: "ORD-2" }]);
});

test("a cart's index: its orders and offsets, and where in the log an order's create is", async () => {
  await using dir = await tempDir();
  const path = await indexIn(dir.path);
  const { text } = await state(path);
  expect(text).toStartWith(`The index of ${TOPIC}, log ${LOG}, in ${dirname(path)}\n`);
  // Until its runs are merged, an index may count an order twice.
  expect(text).toMatch(
    /\npartition +next offset +orders at most +idempotency keys .*\n +0 +2 +2 +0 .*orders\.events\.0\.sqlite\n$/,
  );
  expect(linesOf(await state(path, "--order", "20"))).toEqual([
    { store: path, orderId: "ORD-20", created: { partition: 0, offset: 1, eventId: "b" } },
  ]);
  expect(linesOf(await state(path, "--orders")).map(({ orderId }) => orderId)).toEqual(["ORD-1", "ORD-20"]);
  expect(await state(path, "--count-by", "status")).toMatchObject({ code: 2, error: "OPTION_INVALID" });
});

test("an order is looked up in every store", async () => {
  await using dir = await tempDir();
  const index = await indexIn(dir.path);
  const store = storeIn(dir.path, "order-service-0", 0);
  await ordersStore(store, [orderCreated({ orderId: "ORD-1" })]);
  const found = linesOf(await state(dir.path, "--order", "1"));
  expect(found.map((row) => row["store"])).toEqual([index, store]);
});

test("a cart's index has a store for each partition, and all of them are shown, in one table", async () => {
  await using dir = await tempDir();
  await indexIn(dir.path, 0, ["ORD-1"]);
  await indexIn(dir.path, 10, ["ORD-2", "ORD-3"]);
  const lines = (await state(dir.path)).text.trimEnd().split("\n");
  expect(lines.map((line) => line.trim().split(/ {2,}/).slice(0, 3))).toEqual([
    [expect.stringMatching(/^The index of /)],
    ["partition", "next offset", "orders at most"],
    ["0", "1", "1"],
    ["10", "2", "2"],
  ]);
  const rows = await state(dir.path, "--orders");
  expect(rows).toMatchObject({ code: 0, told: [] });
  expect(linesOf(rows).map(({ orderId }) => orderId)).toEqual(["ORD-1", "ORD-2", "ORD-3"]);
});

test("it is read while the cart runs, and after it was killed", async () => {
  await using dir = await tempDir();
  const index = await indexIn(dir.path);
  const cart = await runningCart(index);
  const isShown = async () => {
    expect(linesOf(await state(index, "--orders")).map(({ orderId }) => orderId)).toEqual(["ORD-1", "ORD-20", "ORD-300"]);
  };
  await isShown();
  await cart[Symbol.asyncDispose]();
  await isShown();
});

test("a store that another program has for itself alone is told", async () => {
  await using dir = await tempDir();
  const store = storeIn(dir.path, "order-service-0", 0);
  await ordersStore(store, [orderCreated()]);
  await using _ = await holderOf(store);
  const told = [expect.stringMatching(/sqlite is held by a program that lets no other one read it.*end it/)];
  expect(await state(dir.path)).toEqual({ code: 1, text: "", told });
  expect(linesOf(await state(store, "--json"))).toEqual([{ store, error: { code: "STORE_FAILED", message: told[0] } }]);
});

test("a copy that lacks what its process shares of the last save is told", async () => {
  await using dir = await tempDir();
  const index = await indexIn(dir.path);
  const cart = await runningCart(index);
  await cart[Symbol.asyncDispose]();
  rmSync(`${index}-shm`);
  const told = [expect.stringMatching(/sqlite was not closed: .*Start the service, stop it, and ask again/)];
  expect(await state(index)).toEqual({ code: 1, text: "", told });
});

test("of a partition that has moved between processes, the store that is furthest gives the rows", async () => {
  await using dir = await tempDir();
  const [old, now] = [storeIn(dir.path, "order-service-0", 0), storeIn(dir.path, "order-service-1", 0)];
  await ordersStore(old, [orderCreated()]);
  await ordersStore(now, [orderCreated(), statusUpdated({ status: "shipped" })]);
  const told = [`${old} is left out: ${now} is the same, and further.`];
  const rows = await state(dir.path, "--orders");
  expect(rows).toMatchObject({ code: 0, told });
  expect(linesOf(rows)).toMatchObject([{ offset: 2, order: { status: "shipped" } }]);
  const counts = await state(dir.path, "--count-by", "status", "--json");
  expect([counts.told, linesOf(counts)]).toEqual([told, [{ status: "shipped", orders: 1 }]]);
});

test("the rows of two topics, or of two logs, are not mixed", async () => {
  await using dir = await tempDir();
  for (const of of [{ topic: "a" }, { topic: "b" }, { logId: "log-2", topic: "a" }])
    await ordersStore(storeIn(dir.path, "order-service-0", 0, of), [orderCreated()], of);
  expect(await state(dir.path, "--orders")).toMatchObject({
    code: 2,
    error: "OPTION_INVALID",
    told: [
      "The rows are those of a of the log log-1 and b of the log log-1 and a of the log log-2: name a directory that has one of them.",
    ],
  });
  const path = join(dir.path, "state", "log-2");
  expect(linesOf(await state(path, "--orders"))).toHaveLength(1);
});

test("what is no store is refused", async () => {
  await using dir = await tempDir();
  const [missing, empty, text, other] = ["missing", "empty", "text.sqlite", "other.sqlite"].map((name) =>
    join(dir.path, name),
  ) as [string, string, string, string];
  mkdirSync(empty);
  writeFileSync(text, "a text, and no database at all. ".repeat(400));
  new Database(other, { create: true }).run("CREATE TABLE orders (order_id TEXT)");
  expect(await state(missing)).toMatchObject({ code: 2, error: "FILE_UNUSABLE", told: [`There is no ${missing}.`] });
  expect(await state(empty)).toMatchObject({ code: 2, error: "FILE_UNUSABLE", told: [`There is no store in ${empty}.`] });
  expect(await state(text)).toMatchObject({ code: 1, told: [expect.stringContaining("is no database of SQLite")] });
  expect(await state(other)).toMatchObject({ code: 1, told: [expect.stringContaining("is no store")] });
});

test("a store of another version is not shown as if it were one of this", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, `${TOPIC}.0.sqlite`);
  await ordersStore(path, [orderCreated()]);
  const db = new Database(path);
  db.run("UPDATE store SET version = 99");
  db.close();
  const told = [expect.stringMatching(/holds orders in version 99; this program shows orders in version \d+ and/)];
  expect(await state(path)).toEqual({ code: 1, text: "", told });
});

test.each([
  ["a block of the records", (path: string) => change(`${path}-records`, 4_096 + 100), "Block 1 of the runs"],
  ["the records' file cut short", (path: string) => truncateSync(`${path}-records`, 100), "Block 1 of the runs"],
  ["the records' file gone", (path: string) => rmSync(`${path}-records`), "-records"],
  ["what a create said", (path: string) => change(`${path}-creates`, STAMP_BYTES + 10), "the create of ORD-1"],
  ["the creates' generation", (path: string) => change(`${path}-creates`, STAMP_BYTES / 2), "of its creates has no generation"],
  ["the totals", (path: string) => alter(path, "UPDATE totals SET orders = 3"), "totals and manifest is another"],
  ["the database's first page", (path: string) => change(path, 3), "no database of SQLite"],
])("damage is told, and the other stores are shown: %s", async (_, damage, what) => {
  await using dir = await tempDir();
  const [damaged, whole] = [0, 1].map((partition) => storeIn(dir.path, "order-service-0", partition)) as [string, string];
  await ordersStore(damaged, [orderCreated({ orderId: "ORD-1" })], { partition: 0 });
  await ordersStore(whole, [orderCreated({ orderId: "ORD-2" })], { partition: 1 });
  damage(damaged);
  const shown = await state(dir.path, "--orders");
  expect(shown.code).toBe(1);
  expect(shown.told).toEqual([expect.stringContaining(what)]);
  expect(shown.told.join()).toContain(damaged);
  expect(linesOf(shown)).toMatchObject([{ orderId: "ORD-2" }]);
});

test("damage is told of an index, too", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, `${TOPIC}.sqlite`);
  const store = openIndex(path);
  await saveEvents(store, orderCreated());
  store.close();
  alter(path, "UPDATE position SET next_offset = 99");
  const told = [expect.stringContaining("position, totals and manifest is another")];
  expect(await state(path)).toEqual({ code: 1, text: "", told });
});

test("a damaged block of an index is told by what reads its rows, and the tables read none", async () => {
  await using dir = await tempDir();
  const [damaged, whole] = [await indexIn(dir.path, 0, ["ORD-1"]), await indexIn(dir.path, 1, ["ORD-2"])];
  change(`${damaged}-records`, 4_096 + 100);
  expect(await state(dir.path)).toMatchObject({ code: 0, told: [] });
  const shown = await state(dirname(whole), "--orders");
  expect(shown).toMatchObject({ code: 1, told: [expect.stringContaining(damaged)] });
  expect(linesOf(shown)).toMatchObject([{ orderId: "ORD-2" }]);
});

test("the rows before a damaged one are given", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, `${TOPIC}.0.sqlite`);
  const store = openOrders(path);
  await saveEvents(store, ...Array.from({ length: 1_000 }, (_, n) => orderCreated({ orderId: `ORD-${1_000 + n}` })));
  store.close();
  change(`${path}-records`, 3 * 4_096 + 100);
  const shown = await state(path, "--orders");
  const given = linesOf(shown).length;
  expect(shown.code).toBe(1);
  expect(given).toBeGreaterThan(100);
  expect(given).toBeLessThan(1_000);
});
