import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { readiness } from "../../../src/http/health.ts";
import { findOrder } from "../../support/find-order.ts";
import type { PartitionSet } from "../../../src/runtime/partition-set.ts";
import { type ByteFile, openByteFile } from "../../../src/runtime/store/byte-file.ts";
import type { ByteFileName, OpenBytes } from "../../../src/runtime/store/store-files.ts";
import { type OpenFile, openSqliteFile, type StoreDatabase } from "../../../src/runtime/store/store-database.ts";
import { damage as damageFile, type DamagedFile } from "../../support/stores/damaged-store.ts";
import { damage, filesWithFaults, isPositionWrite } from "../../support/stores/store-faults.ts";
import { orderCreated, recordOf, statusUpdated } from "../../support/events/orders.ts";
import { eventually, Rig } from "../rig.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { orderProjection } from "../../../src/services/orders/state/order-projection.ts";

const ORDERS = 400;
/** The number of records of partition 0. */
const RECORDS = 2 * ORDERS;

/** An id that is too long to be a number. */
const longId = (n: number) => `ORD-${String(n).padStart(20, "0")}`;

/** Orders of both kinds: those in sorted runs, and those with long ids in partition 0. */
const manyOrders = (partition: number) =>
  Array.from({ length: ORDERS }, (_, n) => n).flatMap((n) => {
    const short = orderCreated({ orderId: `ORD-${partition}${n}`, eventId: `e${n}` });
    const long = orderCreated({ orderId: longId(n), eventId: `l${n}` });
    return (partition === 0 ? [short, long] : [short]).map((event) => recordOf(event, { partition }));
  });

const codeOf = (set: PartitionSet, orderId: string): string => {
  try {
    return findOrder(set, () => 0, orderId).status;
  } catch (e) {
    return (e as { code: string }).code;
  }
};

/** A closed store of all orders of partition 0, one of whose files is damaged. */
async function damagedStore(rig: Rig, file: DamagedFile): Promise<void> {
  await rig.prepare(1);
  await rig.append(...manyOrders(0));
  const before = rig.start("x", [0]);
  await eventually(() => before.get(0)?.nextOffset === RECORDS);
  await before.close();
  damageFile(file, rig.storePath("x", 0));
}

/** A disk on which partition 0 can take no more. */
interface FullDisk {
  readonly openFile: OpenFile;
  readonly openBytes: OpenBytes;
  setFull(isFull: boolean): void;
}

const isOfPartition0 = (path: string) => path.includes(".0.sqlite");

/** The database cannot grow. Orders with long ids are in a table of it, so they take room there. */
function fullDatabase(): FullDisk {
  let db: StoreDatabase | undefined;
  const pages = (name: string) => db?.query<Record<string, number>, []>(`PRAGMA ${name}`).get()?.[name] ?? 0;
  return {
    openFile: (path) => {
      const opened = openSqliteFile(path);
      if (isOfPartition0(path)) db = opened;
      return opened;
    },
    openBytes: openByteFile,
    setFull: (isFull) => void db?.query(`PRAGMA max_page_count = ${isFull ? pages("page_count") + 2 : 1_000_000}`).get(),
  };
}

function fullFile(name: ByteFileName): FullDisk {
  let isFull = false;
  return {
    openFile: openSqliteFile,
    openBytes: (path) => {
      const file = openByteFile(path);
      if (!isOfPartition0(path) || !path.endsWith(name)) return file;
      return new Proxy(file, {
        get: (target, key: keyof ByteFile) => {
          if (key === "write" && isFull) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
          const own = target[key];
          return typeof own === "function" ? own.bind(target) : own;
        },
      });
    },
    setFull: (full) => (isFull = full),
  };
}

describe("a full disk", () => {
  test.each([
    ["the database", fullDatabase(), /x\.0\.sqlite: .*full\. Make room/],
    ["the records", fullFile("records"), /x\.0\.sqlite: .*no space left on device\. Make room/],
    ["the creates", fullFile("creates"), /x\.0\.sqlite: .*no space left on device\. Make room/],
  ] as const)(
    "that has no room for %s suspends its partition alone, says so once, denies nothing, and the partition goes on when there is room",
    async (_, disk, said) => {
      await using rig = new Rig();
      await rig.prepare(2);
      rig.openBytes = disk.openBytes;
      const set = rig.start("x", [0, 1], disk.openFile);
      set.partitionCount = 2;
      await eventually(() => readiness(set).status === "ready" && rig.savedOffset("x", 0) === 0);
      disk.setFull(true);
      await rig.append(...manyOrders(0), ...manyOrders(1));
      await eventually(() => set.get(0)?.state === "suspended" && rig.savedOffset("x", 1) === ORDERS);
      expect(readiness(set)).toMatchObject({ status: "suspended", partitions: [{ reason: expect.stringMatching(said) }, {}] });
      // What was applied is answered from memory. More is not applied, so that memory stays bounded.
      await rig.append(statusUpdated({ orderId: longId(399), eventId: "u", status: "shipped" }));
      await Bun.sleep(1_200);
      expect(codeOf(set, longId(399))).toBe("new");
      expect(codeOf(set, longId(400))).toBe("PARTITION_BLOCKED");
      expect(codeOf(set, "ORD-1399")).toBe("new");
      expect(rig.savedOffset("x", 0)).toBe(0);
      expect(rig.warnings).toEqual([expect.stringMatching(said)]);
      disk.setFull(false);
      await eventually(() => codeOf(set, longId(399)) === "shipped");
      await eventually(() => readiness(set).status === "ready");
      expect(rig.warnings.slice(1)).toEqual([expect.stringMatching(/^0: Its store works again/)]);
      await eventually(() => rig.savedOffset("x", 0) === RECORDS + 1);
    },
  );

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
    await rig.append(statusUpdated({ eventId: "c", status: "pending" }));
    await Bun.sleep(1_200);
    clearInterval(ticks);
    expect(late_ms).toBeLessThan(250);
    expect(codeOf(set, "ORD-1")).toBe("shipped");
    expect(codeOf(set, "ORD-7")).toBe("PARTITION_BLOCKED");
    expect(readiness(set)).toMatchObject({
      status: "suspended",
      reason: expect.stringContaining("another program holds its lock"),
    });
    expect(set.get(0)?.halted).toBeUndefined();
    other.close();
    await eventually(() => readiness(set).status === "ready" && codeOf(set, "ORD-1") === "pending");
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
    await damagedStore(rig, "records");
    await rig.append(statusUpdated({ orderId: "ORD-07", eventId: "u", status: "shipped" }));
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.state === "running" && set.get(0)?.nextOffset === RECORDS + 1);
    expect(codeOf(set, "ORD-07")).toBe("shipped");
    expect(set.get(0)?.view(orderProjection)?.orderIdsAfter("", 1_000)).toHaveLength(RECORDS);
    expect(
      readdirSync(rig.dir)
        .filter((name) => name.includes("set-aside"))
        .toSorted(),
    ).toEqual(["", "-applied", "-creates", "-records"].map((name) => `x.0.sqlite.set-aside-0${name}`));
    expect(rig.warnings.join("\n")).toMatch(/STORE_FAILED: The store \S*x\.0\.sqlite is damaged/);
  });

  test.each(["records", "creates"] as const)(
    "in its %s by a query: it is answered that the state is being read, never that there is no such order",
    async (file) => {
      await using rig = new Rig();
      await damagedStore(rig, file);
      const set = rig.start("x", [0]);
      set.partitionCount = 1;
      await eventually(() => readiness(set).status === "ready");
      expect(codeOf(set, "ORD-07")).toBe("CATCHING_UP");
      expect(codeOf(set, "ORD-07")).toBe("CATCHING_UP");
      await eventually(() => readiness(set).status === "ready");
      expect(codeOf(set, "ORD-07")).toBe("new");
    },
  );

  test("by its opening, after the database was found in order: it is set aside, and rebuilt from the log", async () => {
    await using rig = new Rig();
    await damagedStore(rig, "records");
    const db = new Database(rig.storePath("x", 0));
    db.run("UPDATE orders_segments SET checksum = checksum + 1");
    db.close();
    const set = rig.start("x", [0]);
    set.partitionCount = 1;
    await eventually(() => readiness(set).status === "ready");
    expect(codeOf(set, "ORD-07")).toBe("new");
    expect(rig.warnings.join("\n")).toMatch(/STORE_FAILED: The store \S*x\.0\.sqlite is damaged/);
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
    const isLeftAlone = () => rig.warnings.some((warning) => /x\.0\.sqlite is damaged again, after 3 new ones/.test(warning));
    // Each of the four stores is saved after a second.
    await waitUntil("it to be left alone", isLeftAlone, { wait_ms_max: 20_000 });
    expect(set.get(0)).toMatchObject({ state: "halted" });
  });

  test("of a newer version of the program is set aside too", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(...manyOrders(0));
    const path = rig.storePath("newer", 0);
    const newer = new Database(path);
    newer.run("CREATE TABLE store (name TEXT, version INTEGER, log_id TEXT, topic TEXT)");
    newer.run("INSERT INTO store VALUES ('orders', 99, 'log', 'orders')");
    newer.close();
    const set = rig.start("newer", [0]);
    await eventually(() => set.get(0)?.nextOffset === RECORDS);
    expect(new Database(`${path}.set-aside-0`).query("SELECT version FROM store").get()).toEqual({ version: 99 });
  });
});
