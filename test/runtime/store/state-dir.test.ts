import { expect, test } from "bun:test";
import { cpSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import type { Projections } from "../../../src/runtime/projections.ts";
import { StateDir } from "../../../src/runtime/store/state-dir.ts";
import { unversionedName } from "../../../src/runtime/store/store-names.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { openedFiles } from "../../support/stores/opened-files.ts";
import { saveAt } from "../../support/stores/save-at.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";

const TOPIC = "orders.events";
const claim = (dir: string, logId = "log") => StateDir.claim(dir, logId, "order-service", { newUuid: () => crypto.randomUUID() });

test("an instance id is made once and found again by the next process; each directory has its own", async () => {
  await using dir = await tempDir();
  const [first, second] = [claim(dir.path), claim(dir.path)];
  const id = first.instanceId();
  expect(first.instanceId()).toBe(id);
  expect(second.instanceId()).not.toBe(id);
  first.release();
  const again = claim(dir.path);
  expect(again.instanceId()).toBe(id);
  const renewed = again.renewInstanceId();
  expect(renewed).not.toBe(id);
  expect(again.instanceId()).toBe(renewed);
  again.release();
  second.release();
});

test("a file that has no whole id is replaced", async () => {
  await using dir = await tempDir();
  const state = claim(dir.path);
  const path = join(dir.path, "state/log/order-service-0/instance");
  for (const text of ["", "half-an-i", "\0".repeat(36)]) {
    writeFileSync(path, text);
    expect(state.instanceId()).toBe(readFileSync(path, "utf8").trim());
    expect(state.instanceId()).toMatch(/^[0-9a-f-]{36}$/);
  }
  state.release();
});

test("the positions of stores that are not open are those that they have saved, also without having been closed", async () => {
  await using dir = await tempDir();
  const state = claim(dir.path);
  const open = (partition: number) => {
    const identity = { logId: "log", topic: TOPIC, partition };
    return PartitionStore.open(
      openedFiles(state.open(unversionedName(TOPIC, partition), ORDER_SERVICE_PROJECTIONS, identity)),
      ORDER_SERVICE_PROJECTIONS,
      partition,
    );
  };
  const positions = () => state.positions(TOPIC, ORDER_SERVICE_PROJECTIONS);
  expect(positions()).toEqual(new Map());
  const stores = [open(0), open(7), open(8)];
  await saveAt(stores[0]!, 12);
  await saveAt(stores[1]!, 34);
  expect(positions()).toEqual(
    new Map([
      [0, 12],
      [7, 34],
    ]),
  );
  stores[0]!.close();
  // What a process leaves that is killed: the database with SQLite's log beside it.
  await using other = await tempDir();
  cpSync(dir.path, other.path, { recursive: true });
  stores[1]!.close();
  stores[2]!.close();
  state.release();
  const left = claim(other.path);
  expect(left.positions(TOPIC, ORDER_SERVICE_PROJECTIONS)).toEqual(
    new Map([
      [0, 12],
      [7, 34],
    ]),
  );
  left.release();
});

test("a store that would not be used as it is has no position", async () => {
  await using dir = await tempDir();
  const state = claim(dir.path);
  const identity = { logId: "log", topic: TOPIC, partition: 1 };
  const files = openedFiles(state.open(unversionedName(TOPIC, 1), ORDER_SERVICE_PROJECTIONS, identity));
  const store = PartitionStore.open(files, ORDER_SERVICE_PROJECTIONS, 1);
  await saveAt(store, 9);
  store.close();
  const path = (partition: number) => join(dir.path, "state/log/order-service-0", unversionedName(TOPIC, partition));
  const newer = ORDER_SERVICE_PROJECTIONS.map((projection) => ({
    ...projection,
    version: projection.version + 1,
  })) as unknown as Projections;
  expect(state.positions(TOPIC, newer)).toEqual(new Map());
  expect(state.positions("orders", ORDER_SERVICE_PROJECTIONS)).toEqual(new Map());
  renameSync(path(1), path(2));
  writeFileSync(path(3), "this is no database, it is a text that is a little longer than its header would be");
  writeFileSync(path(4), "");
  expect(state.positions(TOPIC, ORDER_SERVICE_PROJECTIONS)).toEqual(new Map());
  state.release();
});

test("from where on a partition was applied is told of stores of any version, also that began late, and of what cannot be read", async () => {
  await using dir = await tempDir();
  const state = claim(dir.path);
  const save = async (partition: number, firstOffset: number | undefined, nextOffset: number) => {
    const identity = { logId: "log", topic: TOPIC, partition };
    const files = openedFiles(state.open(unversionedName(TOPIC, partition), ORDER_SERVICE_PROJECTIONS, identity));
    const store = PartitionStore.open(files, ORDER_SERVICE_PROJECTIONS, partition);
    store.firstOffset = firstOffset;
    await saveAt(store, nextOffset);
    store.close();
  };
  await save(1, undefined, 9);
  await save(2, 5, 9);
  writeFileSync(join(dir.path, "state/log/order-service-0", unversionedName(TOPIC, 3)), "this is no database, but long enough");
  expect([1, 2, 3, 4].map((partition) => state.appliedFrom(TOPIC, partition))).toEqual([0, 5, 0, undefined]);
  // In the group, what a state lacks at its beginning does not count.
  expect(state.positions(TOPIC, ORDER_SERVICE_PROJECTIONS)).toEqual(
    new Map([
      [1, 9],
      [2, 4],
    ]),
  );
  state.release();
});
