import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Projection } from "../../../src/runtime/projection.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { rowTexts } from "../../../src/tools/state/rows.ts";
import { findStores } from "../../../src/tools/state/stores.ts";
import { orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { type TempDir, tempDir } from "../../support/stores/temp-dir.ts";
import { linesOf, LOG, openOrders, ordersStore, saveEvents, state, TOPIC } from "./rig.ts";

const LONG = `ORD-${"7".repeat(64)}`;
/** Of 90 events each id of an order takes more than its record may have, so some are elsewhere. */
const MANY = Array.from({ length: 90 }, (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`);

const EVENTS = [
  orderCreated({ orderId: "ORD-2", eventId: "b" }),
  statusUpdated({ orderId: "ORD-2", eventId: "c", status: "shipped" }),
  orderCreated({ orderId: "ORD-10", eventId: "d", order: { currency: "EUR" } }),
  statusUpdated({ orderId: "ORD-3", eventId: "e", status: "cancelled" }),
  orderCreated({ orderId: LONG, eventId: "f" }),
  orderCreated({ orderId: "ORD-8", eventId: MANY[0]! }),
  ...MANY.slice(1).map((eventId) => statusUpdated({ orderId: "ORD-8", eventId, status: "pending" })),
];

describe("a store of the order service", () => {
  let dir: TempDir;
  let path: string;
  beforeAll(async () => {
    dir = await tempDir();
    path = join(dir.path, `${TOPIC}.3.sqlite`);
    await ordersStore(path, EVENTS, { partition: 3 });
  });
  afterAll(() => dir[Symbol.asyncDispose]());

  test("is shown with its offset, digest, counts and what it takes on disk", async () => {
    const { code, text, told } = await state(path);
    expect({ code, told }).toEqual({ code: 0, told: [] });
    expect(text).toStartWith(`The orders of ${TOPIC}, log ${LOG}, in ${dir.path}\n`);
    expect(text).toMatch(/\n +3 +95 +4 +1 +[0-9a-f]{13} +[0-9,]+ +[0-9,]+ +1 +1 +orders\.events\.3\.sqlite\n$/);
  });

  test("is shown as JSON, with the digest that the service had", async () => {
    const store = openOrders(path, { partition: 3 });
    const { digest } = store.projections;
    store.close();
    expect(linesOf(await state(path, "--json"))).toEqual([
      {
        store: path,
        holds: "orders",
        topic: TOPIC,
        logId: LOG,
        partitions: [{ partition: 3, nextOffset: EVENTS.length, firstOffset: 0 }],
        orders: 4,
        held: 1,
        digest: digest!,
        runs: 1,
        segments: 1,
        bytes: expect.any(Number),
        bytesPerOrder: expect.any(Number),
      },
    ]);
  });

  test("shows an order: its row, how far the store is, and where its create is", async () => {
    const shown = await state(path, "--order", "10");
    expect(shown.code).toBe(0);
    expect(linesOf(shown)).toEqual([
      {
        store: path,
        partition: 3,
        offset: EVENTS.length,
        orderId: "ORD-10",
        order: expect.objectContaining({ orderId: "ORD-10", currency: "EUR", status: "new", totalAmount: 10 }),
        held: [],
        eventIds: ["d"],
        createAt: expect.any(Number),
      },
    ]);
  });

  test("shows an order of which only updates are known", async () => {
    const [row] = linesOf(await state(path, "--order", "ORD-3"));
    expect(row).toMatchObject({ order: null, held: ["cancelled"], eventIds: ["e"], createAt: null });
  });

  test("shows an order whose id is too long for a key, and one whose event ids are too many for its record", async () => {
    expect(linesOf(await state(path, "--order", LONG))).toMatchObject([{ orderId: LONG, eventIds: ["f"] }]);
    const [row] = linesOf(await state(path, "--order", "8")) as [{ eventIds: string[] }];
    expect(row.eventIds.toSorted()).toEqual(MANY);
  });

  test("says that it has no such order, with 1", async () => {
    expect(await state(path, "--order", "99")).toEqual({ code: 1, text: "", told: ["No store that could be read has ORD-99."] });
  });

  test("gives all rows, each once, ascending by id", async () => {
    const shown = await state(path, "--orders");
    expect(shown.code).toBe(0);
    const ids = linesOf(shown).map(({ orderId }) => orderId);
    expect(ids).toEqual(["ORD-10", "ORD-2", "ORD-3", LONG, "ORD-8"]);
  });

  test("gives all rows, each once, though every read view is given up after its first row", () => {
    let now_ms = 0;
    const impatient = { ...systemClock, now_ms: () => (now_ms += 1_000_000) };
    const texts = [...rowTexts(findStores([path]).stores[0]!, impatient)].filter((text) => text !== "");
    expect(texts.map((text) => (JSON.parse(text) as { orderId: string }).orderId)).toEqual([
      "ORD-10",
      "ORD-2",
      "ORD-3",
      LONG,
      "ORD-8",
    ]);
  });

  test("counts orders by a field", async () => {
    expect((await state(path, "--count-by", "status")).text.split("\n").map((line) => line.trim().split(/ +/))).toEqual([
      ["status", "orders"],
      ["new", "2"],
      ["pending", "1"],
      ["shipped", "1"],
      ["null", "1"],
      [""],
    ]);
    expect(linesOf(await state(path, "--count-by", "currency", "--json"))).toEqual([
      { currency: "USD", orders: 3 },
      { currency: "EUR", orders: 1 },
      { currency: null, orders: 1 },
    ]);
  });

  test("shows a store from which the service goes on", async () => {
    const store = openOrders(path, { partition: 3 });
    await saveEvents(store, statusUpdated({ orderId: "ORD-10", eventId: "z", status: "shipped" }));
    expect(linesOf(await state(path, "--order", "10"))).toMatchObject([
      { offset: EVENTS.length + 1, order: { status: "shipped" } },
    ]);
    store.close();
    expect(linesOf(await state(path, "--order", "10"))).toMatchObject([{ offset: EVENTS.length + 1, eventIds: ["d", "z"] }]);
  });
});

test("a store in which nothing is saved yet is shown, and has no rows", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, `${TOPIC}.0.sqlite`);
  openOrders(path).close();
  const [overview] = linesOf(await state(path, "--json"));
  expect(overview).toMatchObject({ partitions: [], orders: 0, held: 0, digest: "0000000000000", runs: 0, segments: 0 });
  expect(overview).not.toHaveProperty("bytesPerOrder");
  expect((await state(path)).text).toMatch(/\n +- +0 +0 +0 +0{13} +[0-9,]+ +- +0 +0 +orders\.events\.0\.sqlite\n$/);
  expect(await state(path, "--orders")).toEqual({ code: 0, text: "", told: [] });
});

test("a store that began after the log's first records says from where", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, `${TOPIC}.0.sqlite`);
  const store = openOrders(path);
  store.firstOffset = 40;
  await saveEvents(store, orderCreated());
  store.close();
  expect((await state(path)).text).toEndWith("Partition 0 was folded from offset 40 on.\n");
});

test("a store of several projections shows its orders", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, `${TOPIC}.0.sqlite`);
  const fold = { fold: () => undefined, keep: () => undefined, reset: () => undefined, unsaved: 0 };
  const save = () => ({ write: () => undefined, committed: () => undefined, abandoned: () => undefined });
  const other: Projection<undefined> = {
    name: "other",
    version: 7,
    schema: "SELECT 1",
    open: () => ({ ...fold, save, view: undefined }),
  };
  await ordersStore(path, EVENTS, { projections: [...ORDER_SERVICE_PROJECTIONS, other] });
  expect(linesOf(await state(path, "--json"))).toMatchObject([{ holds: "orders", orders: 4 }]);
});

test.each([
  [["--orders", "--count-by", "status"], "are three questions: ask one"],
  [["--order", "ORD-x"], "--order is ORD-x; an order id is ORD- and 1 to 64 digits"],
  [["--count-by", "customerId"], "--count-by is customerId; orders are counted by currency or status"],
  [["--shiny"], "--shiny"],
])("%j is refused with 2", async (args, told) => {
  await using dir = await tempDir();
  const refused = await state(dir.path, ...args);
  expect(refused).toMatchObject({ code: 2, text: "", error: "OPTION_INVALID", told: [expect.stringContaining(told)] });
});
