import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readiness } from "../../../src/http/health.ts";

import { findOrder } from "../../../src/services/orders/query/queries.ts";
import type { PartitionSet } from "../../../src/runtime/partition-set.ts";
import { type OpenFile, openSqliteFile, type StoreDatabase } from "../../../src/runtime/store/store-database.ts";
import { damageFrom } from "../../support/stores/damaged-store.ts";
import { damage, filesWithFaults, isPositionWrite, withFaults } from "../../support/stores/store-faults.ts";
import { orderCreated, recordOf, statusUpdated } from "../../support/events/orders.ts";
import { eventually, Rig } from "../rig.ts";
import { orderProjection } from "../../../src/services/orders/state/order-projection.ts";

const ORDERS = 400;

const manyOrders = (partition: number) =>
  Array.from({ length: ORDERS }, (_, n) =>
    recordOf(orderCreated({ orderId: `ORD-${partition}${n}`, eventId: `e${n}` }), { partition }),
  );

const codeOf = (set: PartitionSet, orderId: string): string => {
  try {
    return findOrder(set, () => 0, orderId).status;
  } catch (e) {
    return (e as { code: string }).code;
  }
};

/** A closed store of all orders of partition 0, with its deep pages damaged. */
async function damagedStore(rig: Rig): Promise<void> {
  await rig.prepare(1);
  await rig.append(...manyOrders(0));
  const before = rig.start("x", [0]);
  await eventually(() => before.get(0)?.nextOffset === ORDERS);
  await before.close();
  damageFrom("the pages behind the tables' first ones", rig.storePath("x", 0));
}

describe("a full disk", () => {
  test("suspends its partition alone, says so once, denies nothing, and the partition goes on when there is room", async () => {
    await using rig = new Rig();
    await rig.prepare(2);
    const files: StoreDatabase[] = [];
    const set = rig.start("x", [0, 1], (path) => {
      const db = openSqliteFile(path);
      files.push(db);
      return db;
    });
    set.partitionCount = 2;
    await eventually(() => readiness(set).status === "ready");
    const full = files.find(({ filename }) => filename.endsWith(".0.sqlite"))!;
    const limit = (pages: number) => full.query(`PRAGMA max_page_count = ${pages}`).get();
    limit(full.query<{ page_count: number }, []>("PRAGMA page_count").get()!.page_count + 2);
    await rig.append(...manyOrders(0), ...manyOrders(1));
    await eventually(() => set.get(0)?.state === "suspended" && set.get(1)?.nextOffset === ORDERS);
    expect(readiness(set)).toMatchObject({ status: "suspended", partitions: [{ reason: expect.stringContaining("full") }, {}] });
    expect(codeOf(set, "ORD-0399")).toBe("PARTITION_BLOCKED");
    expect(codeOf(set, "ORD-1399")).toBe("new");
    await Bun.sleep(1_200);
    expect(rig.warnings).toEqual([expect.stringMatching(/^0: STORE_FAILED: .*x\.0\.sqlite: .*full\. Make room/)]);
    limit(1_000_000);
    await rig.append(statusUpdated({ orderId: "ORD-0399", eventId: "u", status: "shipped" }));
    await eventually(() => codeOf(set, "ORD-0399") === "shipped");
    await eventually(() => readiness(set).status === "ready");
    expect(rig.warnings.slice(1)).toEqual([expect.stringMatching(/^0: Its store works again/)]);
  });

  test("at the start lets the partition wait until its store can be opened", async () => {
    await using rig = new Rig();
    await rig.prepare(2);
    await rig.append(...manyOrders(0), ...manyOrders(1));
    let failures = 2;
    const set = rig.start("x", [0, 1], (path) => {
      if (path.endsWith(".0.sqlite") && failures-- > 0) throw new Error("no space left on device");
      return openSqliteFile(path);
    });
    await eventually(() => set.get(1)?.state === "running");
    expect(set.get(0)).toMatchObject({ state: "suspended" });
    expect(set.get(0)?.hindered).toContain("no space left on device. Make room");
    await eventually(() => set.get(0)?.state === "running");
    expect(codeOf(set, "ORD-0399")).toBe("new");
  });
});

describe("a store that another program has locked", () => {
  const lock = (path: string): Database => {
    const other = new Database(path);
    other.run("BEGIN IMMEDIATE");
    return other;
  };

  test("suspends its partition alone, holds up nothing, is read all the same, and goes on when it is let go", async () => {
    await using rig = new Rig();
    await rig.prepare(2);
    await rig.append(orderCreated());
    const set = rig.start("x", [0, 1]);
    await eventually(() => readiness(set).status === "ready" && set.get(0)?.nextOffset === 1);
    const other = lock(rig.storePath("x", 0));
    let late_ms = 0;
    let due_ms = performance.now() + 10;
    const ticks = setInterval(() => {
      late_ms = Math.max(late_ms, performance.now() - due_ms);
      due_ms = performance.now() + 10;
    }, 10);
    await rig.append(
      statusUpdated({ eventId: "b", status: "shipped" }),
      recordOf(orderCreated({ orderId: "ORD-9" }), { partition: 1 }),
    );
    await eventually(() => set.get(0)?.state === "suspended" && codeOf(set, "ORD-9") === "new");
    await Bun.sleep(1_200);
    clearInterval(ticks);
    expect(late_ms).toBeLessThan(250);
    expect(codeOf(set, "ORD-1")).toBe("new");
    expect(codeOf(set, "ORD-7")).toBe("PARTITION_BLOCKED");
    expect(readiness(set)).toMatchObject({
      status: "suspended",
      reason: expect.stringContaining("another program holds its lock"),
    });
    expect(set.get(0)?.halted).toBeUndefined();
    other.close();
    await eventually(() => readiness(set).status === "ready" && codeOf(set, "ORD-1") === "shipped");
  });

  test("at the start is waited for", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(orderCreated());
    const before = rig.start("x", [0]);
    await eventually(() => before.get(0)?.nextOffset === 1);
    await before.close();
    const other = lock(rig.storePath("x", 0));
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.state === "suspended");
    other.close();
    await eventually(() => codeOf(set, "ORD-1") === "new");
  });
});

describe("a store that turns out damaged while it is used", () => {
  test("by a record to be applied: it is set aside, and rebuilt from the log", async () => {
    await using rig = new Rig();
    await damagedStore(rig);
    await rig.append(statusUpdated({ orderId: "ORD-07", eventId: "u", status: "shipped" }));
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.state === "running" && set.get(0)?.nextOffset === ORDERS + 1);
    expect(codeOf(set, "ORD-07")).toBe("shipped");
    expect(set.get(0)?.view(orderProjection)?.orderIdsAfter("", 1_000)).toHaveLength(ORDERS);
    expect(existsSync(`${rig.storePath("x", 0)}.set-aside-0`)).toBe(true);
    expect(rig.warnings.join("\n")).toMatch(/STORE_FAILED: The store \S*x\.0\.sqlite is damaged/);
  });

  test("by a query: it is answered that the state is being read, never that there is no such order", async () => {
    await using rig = new Rig();
    await damagedStore(rig);
    const set = rig.start("x", [0]);
    set.partitionCount = 1;
    await eventually(() => readiness(set).status === "ready");
    expect(codeOf(set, "ORD-07")).toBe("CATCHING_UP");
    expect(codeOf(set, "ORD-07")).toBe("CATCHING_UP");
    await eventually(() => readiness(set).status === "ready");
    expect(codeOf(set, "ORD-07")).toBe("new");
  });

  test("by the question for its health: that is answered, and the store rebuilt", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(...manyOrders(0));
    let files = 0;
    const fail = () => {
      throw damage();
    };
    const firstUnreadable: OpenFile = (path) => {
      const db = openSqliteFile(path);
      return files++ === 0 ? withFaults(db, (sql) => (sql === "SELECT value FROM digest" ? fail : undefined)) : db;
    };
    const set = rig.start("x", [0], firstUnreadable);
    set.partitionCount = 1;
    await eventually(() => set.get(0)?.nextOffset === ORDERS);
    expect(readiness(set).partitions).toEqual([expect.not.objectContaining({ digest: expect.anything() })]);
    await eventually(() => readiness(set).status === "ready" && set.get(0)?.digest !== undefined);
    expect(existsSync(`${rig.storePath("x", 0)}.set-aside-0`)).toBe(true);
  });

  test("again and again is at last left alone, and said", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const fail = () => {
      throw damage();
    };
    const set = rig.start(
      "x",
      [0],
      filesWithFaults((sql) => (isPositionWrite(sql) ? fail : undefined)),
    );
    await rig.append(...manyOrders(0));
    await eventually(() => rig.warnings.some((warning) => /x\.0\.sqlite is damaged again, after 3 new ones/.test(warning)));
    expect(set.get(0)).toMatchObject({ state: "halted" });
  });

  test("of a newer version of the program is set aside too", async () => {
    await using rig = new Rig();
    await damagedStore(rig);
    const path = rig.storePath("newer", 0);
    const newer = new Database(path);
    newer.run("CREATE TABLE store (name TEXT, version INTEGER, log_id TEXT, topic TEXT)");
    newer.run("INSERT INTO store VALUES ('orders', 99, 'log', 'orders')");
    newer.close();
    const set = rig.start("newer", [0]);
    await eventually(() => set.get(0)?.nextOffset === ORDERS);
    expect(new Database(`${path}.set-aside-0`).query("SELECT version FROM store").get()).toEqual({ version: 99 });
  });
});
