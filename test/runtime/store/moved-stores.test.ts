import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, utimesSync } from "node:fs";
import { readConfig } from "../../../src/config/config.ts";
import type { CommittedOffset } from "../../../src/log/membership.ts";
import { Actors } from "../../../src/runtime/actors.ts";
import { PartitionStores } from "../../../src/runtime/partition-stores.ts";
import type { PartitionActor } from "../../../src/runtime/actor/actor.ts";
import { StateDir } from "../../../src/runtime/store/state-dir.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { openedFiles } from "../../support/stores/opened-files.ts";
import { saveAt } from "../../support/stores/save-at.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";

const HOUR_MS = 3_600_000;
const projections = ORDER_SERVICE_PROJECTIONS;

describe("the store of a partition that is held here no more", () => {
  let dir: Awaited<ReturnType<typeof tempDir>>;
  let state: StateDir;
  let stores: PartitionStores;
  const config = readConfig({ OLD_STORES_KEPT_MS: String(HOUR_MS) });
  const pathOf = (partition: number) => state.path(state.storeName(config.orders_topic, partition, projections));

  beforeEach(async () => {
    dir = await tempDir();
    state = StateDir.claim(dir.path, "log", "order-service", { newUuid: () => crypto.randomUUID(), projections });
    for (const [partition, offset] of [
      [3, 12],
      [4, 7],
    ] as const) {
      const identity = { logId: "log", topic: config.orders_topic, partition };
      const name = state.storeName(config.orders_topic, partition, projections);
      const store = PartitionStore.open(openedFiles(state.open(name, projections, identity)), projections, partition);
      await saveAt(store, offset);
      store.close();
    }
    stores = new PartitionStores({
      prefix: "",
      config,
      projections,
      claimState: () => state,
      clock: systemClock,
      random: () => 0,
      logger: createLogger({ level: "silent", format: "json" }),
    });
    stores.begin("log");
  });
  afterEach(async () => {
    stores.release();
    await dir[Symbol.asyncDispose]();
  });

  const age = (): void => {
    const then_s = (Date.now() - 2 * HOUR_MS) / 1_000;
    for (const partition of [3, 4])
      for (const end of ["", "-wal", "-shm", "-records", "-creates", "-applied"])
        if (existsSync(pathOf(partition) + end)) utimesSync(pathOf(partition) + end, then_s, then_s);
  };
  const told = (offsets: Record<number, number>) => async (asked: readonly number[]) =>
    new Map<number, CommittedOffset>(asked.flatMap((p) => (offsets[p] === undefined ? [] : [[p, { nextOffset: offsets[p] }]])));
  const left = (): number[] => [3, 4].filter((partition) => existsSync(pathOf(partition)));

  test("is deleted once it is old and another member is further, and no more told of", async () => {
    age();
    await stores.removeMoved(new Actors(), told({ 3: 13, 4: 7 }));
    expect(left()).toEqual([4]);
    expect(stores.localPositions(new Actors())).toEqual(new Map([[4, 7]]));
  });

  test("is kept while it is young, while nothing or no more is committed, and while the group cannot be asked", async () => {
    await stores.removeMoved(new Actors(), told({ 3: 13, 4: 8 }));
    age();
    await stores.removeMoved(new Actors(), told({ 3: 12 }));
    await stores.removeMoved(new Actors(), () => Promise.reject(new Error("no group")));
    expect(left()).toEqual([3, 4]);
  });

  test("is kept if the partition is held here again, also if it came back while the group was asked", async () => {
    age();
    const actors = new Actors();
    actors.set(3, { partition: 3, hasStore: false } as unknown as PartitionActor);
    await stores.removeMoved(actors, async (asked) => {
      expect(asked).toEqual([4]);
      actors.set(4, { partition: 4, hasStore: false } as unknown as PartitionActor);
      return told({ 3: 13, 4: 8 })(asked);
    });
    expect(left()).toEqual([3, 4]);
  });
});
