import { describe, expect, test } from "bun:test";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../../src/errors.ts";
import { readiness } from "../../../src/http/health.ts";
import type { PartitionSet } from "../../../src/runtime/partition-set.ts";
import { FileStorage } from "../../../src/storage/file-storage.ts";
import { orderCreated } from "../../support/events/orders.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { eventually, Rig } from "../rig.ts";

/** A storage in the rig's directory that can be made to fail. */
class BrittleStorage extends FileStorage {
  fails = false;
  /** Whether nothing can be removed from it. */
  keeps = false;
  /** Whether it changes a bit of each snapshot. */
  spoils = false;

  override remove(name: string): Promise<void> {
    if (this.keeps) return Promise.reject(new AppError("STORAGE_FAILED", "Nothing may be removed."));
    return super.remove(name);
  }

  override put(name: string, bytes: Uint8Array): Promise<void> {
    if (this.spoils && name.endsWith("000000"))
      return super.put(
        name,
        bytes.map((byte, n) => (n === 9 ? byte ^ 1 : byte)),
      );
    if (this.fails) return Promise.reject(new AppError("STORAGE_FAILED", "The storage is away."));
    return super.put(name, bytes);
  }
}

async function newRig(): Promise<{ rig: Rig; storage: BrittleStorage; directory: string }> {
  const rig = new Rig();
  const directory = join(rig.dir, "snapshots");
  const storage = new BrittleStorage(directory, () => crypto.randomUUID());
  rig.storage = storage;
  // What waits for seconds need not keep the tests as long.
  rig.pace = 20;
  await rig.prepare(1);
  return { rig, storage, directory };
}

const orders = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => orderCreated({ orderId: `ORD-${from + n}`, eventId: `create-${from + n}` }));

const running = (set: PartitionSet, offset: number): Promise<boolean> =>
  eventually(() => set.get(0)?.state === "running" && set.get(0)?.nextOffset === offset);

const snapshotAt = (set: PartitionSet, offset: number): Promise<boolean> =>
  eventually(() => set.get(0)?.snapshot?.offset === offset);

const files = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? join(entry.parentPath, entry.name) : [],
  );

async function numberOf(rig: Rig, name: string): Promise<number> {
  const line = (await rig.metrics.text()).split("\n").find((one) => one.startsWith(`${name}{`));
  return line === undefined ? Number.NaN : Number(line.slice(line.lastIndexOf(" ")));
}

test("a store that is made of a snapshot is not counted as new, and one that is read from the log's start is, once", async () => {
  const { rig } = await newRig();
  await using _ = rig;
  await rig.append(...orders(0, 20));
  let set = rig.start("first", [0]);
  rig.metrics.watch(() => set);
  await snapshotAt(set, 20);
  expect(await numberOf(rig, "orders_new_stores_total")).toBe(1);
  await set.close();
  set = rig.start("second", [0]);
  await running(set, 20);
  expect(rig.told.join("\n")).toContain("Restored from the snapshot");
  expect(await numberOf(rig, "orders_new_stores_total")).toBe(1);
});

test("the last snapshot of a service that stops is not said to be tried again", async () => {
  const { rig, storage } = await newRig();
  await using _ = rig;
  rig.snapshot_wait_ms = 3_600_000;
  await rig.append(...orders(0, 20));
  const set = rig.start("first", [0]);
  await snapshotAt(set, 20);
  await rig.append(...orders(20, 1));
  await running(set, 21);
  storage.fails = true;
  await set.close();
  const told = rig.told.join("\n");
  expect(told).toContain("0: The last snapshot before the stop was not taken, and is not tried again: The storage is away.");
  expect(told).not.toContain("tried until it works");
});

describe("a storage that cannot be used", () => {
  test("is told at the start and in readiness, without stopping anything, until it works", async () => {
    const { rig, storage, directory } = await newRig();
    await using _ = rig;
    storage.fails = true;
    const set = rig.start("first", [0]);
    await running(set, 0);
    await eventually(() => readiness(set).warnings !== undefined);
    const { status, warnings = [] } = readiness(set);
    expect(status).toBe("ready");
    expect(warnings).toEqual([
      {
        topic: "orders",
        code: "snapshots-fail",
        detail: expect.stringMatching(
          /^Using the storage of snapshots fails: The storage is away\. .*SNAPSHOT_URL.* goes on by itself/,
        ) as string,
        since: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      },
    ]);
    expect(rig.told.join("\n")).toContain("all: Using the storage of snapshots fails and is tried until it works: The storage");
    storage.fails = false;
    await eventually(() => readiness(set).warnings === undefined);
    expect(rig.told.join("\n")).toMatch(/all: Using the storage of snapshots works again/);
    expect(files(directory)).toEqual([]);
  });

  test("is told in readiness also if it fails later, until a snapshot is taken", async () => {
    const { rig, storage } = await newRig();
    await using _ = rig;
    const set = rig.start("first", [0]);
    await rig.append(...orders(0, 20));
    await snapshotAt(set, 20);
    expect(readiness(set).warnings).toBeUndefined();
    storage.fails = true;
    await rig.append(...orders(20, 1));
    await eventually(() => readiness(set).warnings !== undefined);
    expect(readiness(set).warnings?.map(({ code }) => code)).toEqual(["snapshots-fail"]);
    storage.fails = false;
    await snapshotAt(set, 21);
    await eventually(() => readiness(set).warnings === undefined);
  });

  test("is told while older snapshots cannot be deleted, and no longer once they could be, though nothing is due", async () => {
    const { rig, storage } = await newRig();
    await using _ = rig;
    rig.snapshots_kept = 1;
    const set = rig.start("first", [0]);
    await rig.append(...orders(0, 20));
    await snapshotAt(set, 20);
    storage.keeps = true;
    await rig.append(...orders(20, 1));
    await snapshotAt(set, 21);
    await eventually(() => readiness(set).warnings !== undefined);
    expect(readiness(set).warnings?.[0]?.detail).toContain("Partition 0: Taking its snapshots fails: Nothing may be removed.");
    storage.keeps = false;
    await eventually(() => readiness(set).warnings === undefined);
  });

  test("leaves a partition with the age since it is held and all its records, though health shows no snapshot", async () => {
    const { rig, storage } = await newRig();
    await using _ = rig;
    storage.fails = true;
    await rig.append(...orders(0, 20));
    const set = rig.start("first", [0]);
    rig.metrics.watch(() => set);
    await running(set, 20);
    rig.passed_ms += 90_000_000;
    expect(await numberOf(rig, "orders_snapshot_age_seconds")).toBeWithin(90_000, 100_000);
    expect(await numberOf(rig, "orders_snapshot_behind_records")).toBe(20);
    expect(readiness(set).partitions[0]?.snapshot).toBeUndefined();
  });
});

test("a service without snapshots has no series of their age", async () => {
  const { rig } = await newRig();
  await using _ = rig;
  rig.storage = undefined;
  const set = rig.start("first", [0]);
  rig.metrics.watch(() => set);
  await running(set, 0);
  expect(await numberOf(rig, "orders_snapshot_age_seconds")).toBeNaN();
});

test("a snapshot that reads back as another one than was put is counted as damaged, and as a failure", async () => {
  const { rig, storage } = await newRig();
  await using _ = rig;
  storage.spoils = true;
  await rig.append(...orders(0, 20));
  rig.start("first", [0]);
  await waitUntil("for it to be read back", async () => (await numberOf(rig, "orders_snapshots_damaged_total")) > 0);
  expect(await numberOf(rig, "orders_snapshot_failures_total")).toBeGreaterThan(0);
  expect(await numberOf(rig, "orders_snapshots_taken_total")).toBe(0);
});

test("where all snapshots are damaged, the last line says that the log is read instead, and they are counted", async () => {
  const { rig, directory } = await newRig();
  await using _ = rig;
  expect(await numberOf(rig, "orders_snapshots_damaged_total")).toBe(0);
  await rig.append(...orders(0, 20));
  const set = rig.start("first", [0]);
  await snapshotAt(set, 20);
  await set.close();
  for (const path of files(directory)) if (path.endsWith("000000")) writeFileSync(path, "damaged");
  const other = rig.start("second", [0]);
  await running(other, 20);
  expect(rig.warnings.join("\n")).toMatch(/0: The store is read from the log's start, as none of its 1 snapshots .* can be used/);
  expect(await numberOf(rig, "orders_snapshots_damaged_total")).toBeGreaterThan(0);
  await other.close();
  rig.warnings.length = 0;
  rmSync(directory, { recursive: true });
  await running(rig.start("third", [0]), 20);
  expect(rig.warnings).toEqual([]);
});
