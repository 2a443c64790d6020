import { describe, expect, test } from "bun:test";
import { existsSync, utimesSync } from "node:fs";
import { basename, join } from "node:path";
import type { Projections } from "../../../src/runtime/projections.ts";
import { StateDir } from "../../../src/runtime/store/state-dir.ts";
import { partitionIn, unversionedName, versionedName } from "../../../src/runtime/store/store-names.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { openedFiles } from "../../support/stores/opened-files.ts";
import { saveAt } from "../../support/stores/save-at.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";

const TOPIC = "orders.events";
const NOW = ORDER_SERVICE_PROJECTIONS;
/** The list as a later version of the program has it. */
const later = (by: number) =>
  NOW.map((projection) => ({ ...projection, version: projection.version + by })) as unknown as Projections;
const [NEXT, LAST] = [later(1), later(2)];
const OTHERS = [...NOW, { ...NOW[0], name: "customers", schema: "" }] as unknown as Projections;

const claim = (dir: string, projections: Projections) =>
  StateDir.claim(dir, "log", "order-service", { newUuid: () => crypto.randomUUID(), projections });

async function save(state: StateDir, name: string, projections: Projections, partition: number, offset: number): Promise<void> {
  const files = openedFiles(state.open(name, projections, { logId: "log", topic: TOPIC, partition }));
  const store = PartitionStore.open(files, projections, partition);
  await saveAt(store, offset);
  store.close();
}

/** Saves the store that a process of that version uses. */
const saved = (state: StateDir, projections: Projections, partition: number, offset: number) =>
  save(state, state.storeName(TOPIC, partition, projections), projections, partition, offset);

describe("a newer version of the program", () => {
  test("builds its store beside the older one's, and each finds its own", async () => {
    await using dir = await tempDir();
    const state = claim(dir.path, NOW);
    await saved(state, NOW, 3, 12);
    await saved(state, NEXT, 3, 7);
    expect([state.positions(TOPIC, NOW), state.positions(TOPIC, NEXT)]).toEqual([new Map([[3, 12]]), new Map([[3, 7]])]);
    expect(state.positions(TOPIC, OTHERS)).toEqual(new Map());
    state.release();
  });

  test("goes on with a store whose name has no version, if it holds the same, and leaves it alone if it does not", async () => {
    await using dir = await tempDir();
    const state = claim(dir.path, NOW);
    const unversioned = unversionedName(TOPIC, 3);
    await save(state, unversioned, NOW, 3, 12);
    expect([state.storeName(TOPIC, 3, NOW), state.positions(TOPIC, NOW)]).toEqual([unversioned, new Map([[3, 12]])]);
    expect(state.storeName(TOPIC, 3, NEXT)).toBe(versionedName(TOPIC, 3, NEXT));
    await saved(state, NEXT, 3, 7);
    expect(state.positions(TOPIC, NOW)).toEqual(new Map([[3, 12]]));
    state.release();
  });

  test("takes an unversioned store that cannot be read for its own, so that it is not passed over in silence", async () => {
    await using dir = await tempDir();
    const state = claim(dir.path, NOW);
    await Bun.write(state.path(unversionedName(TOPIC, 3)), "this is no database, it is a text that is longer than a header");
    expect(state.storeName(TOPIC, 3, NEXT)).toBe(unversionedName(TOPIC, 3));
    state.release();
  });

  test("that is started beside the older one gets its own directory again after a restart, also when that of the older is free", async () => {
    await using dir = await tempDir();
    const older = claim(dir.path, NOW);
    await save(older, unversionedName(TOPIC, 3), NOW, 3, 12);
    const newer = claim(dir.path, NEXT);
    await saved(newer, NEXT, 3, 7);
    for (const state of [older, newer]) state.release();
    const again = claim(dir.path, NEXT);
    expect(again.positions(TOPIC, NEXT)).toEqual(new Map([[3, 7]]));
    const back = claim(dir.path, NOW);
    expect(back.positions(TOPIC, NOW)).toEqual(new Map([[3, 12]]));
    for (const state of [again, back]) state.release();
  });
});

describe("stores of other versions", () => {
  const HOUR_MS = 3_600_000;
  const writtenAt = (path: string, wall_ms: number): void => {
    for (const end of ["", "-wal", "-shm", "-records", "-creates", "-applied"])
      if (existsSync(path + end)) utimesSync(path + end, wall_ms / 1_000, wall_ms / 1_000);
  };

  test("are deleted once nobody has written them for the time that is set, with all their files", async () => {
    await using dir = await tempDir();
    const state = claim(dir.path, NEXT);
    await save(state, unversionedName(TOPIC, 3), NOW, 3, 12);
    await saved(state, LAST, 3, 12);
    await saved(state, NEXT, 3, 7);
    await saved(state, NOW, 4, 5);
    const path = state.path(unversionedName(TOPIC, 3));
    const now_ms = Date.now();
    expect(state.removeOutdated(TOPIC, 3, NEXT, now_ms - HOUR_MS)).toEqual([]);
    writtenAt(path, now_ms - 2 * HOUR_MS);
    expect(state.removeOutdated(TOPIC, 3, NEXT, now_ms - HOUR_MS).map((one) => basename(one))).toEqual([basename(path)]);
    expect([...new Bun.Glob(`${TOPIC}.3.sqlite*`).scanSync(join(dir.path, "state/log/order-service-0"))]).toEqual([]);
    expect([state.positions(TOPIC, NEXT), state.positions(TOPIC, LAST)]).toEqual([new Map([[3, 7]]), new Map([[3, 12]])]);
    expect(state.positions(TOPIC, NOW)).toEqual(new Map([[4, 5]]));
    state.release();
  });

  test("are kept while there is none of this version", async () => {
    await using dir = await tempDir();
    const state = claim(dir.path, NEXT);
    await save(state, unversionedName(TOPIC, 3), NOW, 3, 12);
    expect(state.removeOutdated(TOPIC, 3, NEXT, Number.POSITIVE_INFINITY)).toEqual([]);
    state.release();
  });
});

test.each([
  ["orders.events.3.sqlite", 3],
  ["orders.events.3.v9.sqlite", 3],
  ["orders.events.12.s0a1b2c3d.sqlite", 12],
  ["orders.events.3.sqlite-wal", undefined],
  ["orders.events.3.sqlite.set-aside-1", undefined],
  ["orders.events.more.3.v9.sqlite", undefined],
  ["orders.3.v9.sqlite", undefined],
])("the partition in the name %s is %p", (name, partition) => {
  expect(partitionIn(name, TOPIC)).toBe(partition);
});
