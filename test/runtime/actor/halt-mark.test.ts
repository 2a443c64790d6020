import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, utimesSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readConfig } from "../../../src/config/config.ts";
import { AppError } from "../../../src/errors.ts";
import type { Log } from "../../../src/log/port.ts";
import { LOOKS_APART_MS } from "../../../src/runtime/moved-stores.ts";
import { PartitionSet } from "../../../src/runtime/partition-set.ts";
import { PartitionStores } from "../../../src/runtime/partition-stores.ts";
import type { Projections } from "../../../src/runtime/projections.ts";
import { StateDir } from "../../../src/runtime/store/state-dir.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { ORDER_SERVICE_PROJECTIONS as NOW } from "../../../src/services/orders/slices.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { MemoryBroker } from "../../log/memory/memory-log.ts";
import { orderCreated, recordOf } from "../../support/events/orders.ts";
import { openedFiles } from "../../support/stores/opened-files.ts";
import { saveAt } from "../../support/stores/save-at.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { eventually } from "../rig.ts";

const config = readConfig({ OLD_STORES_KEPT_MS: "60000" });
const topic = config.orders_topic;
const WHY = "At offset 1 the log holds another record than the one applied.";

let dir: Awaited<ReturnType<typeof tempDir>>;
let log: Log;
let state: StateDir;
let stores: PartitionStores;
let set: PartitionSet;
let passed_ms: number;
const path = () => state.path(state.storeName(topic, 0, NOW));
const mark = () => `${path()}-halted`;

beforeEach(async () => {
  passed_ms = 0;
  const clock = { ...systemClock, now_ms: () => systemClock.now_ms() + passed_ms };
  const logger = createLogger({ level: "silent", format: "json" });
  let ids = 0;
  log = new MemoryBroker({ clock: systemClock, newUuid: () => `id-${ids++}` }).connect("test");
  await log.createTopic(topic, 1);
  await log.producer().append(topic, [recordOf(orderCreated())]);
  dir = await tempDir();
  state = StateDir.claim(dir.path, "log", "order-service", { newUuid: () => crypto.randomUUID(), projections: NOW });
  const parts = { config, projections: NOW, clock, logger, random: () => 0.5 };
  stores = new PartitionStores({ ...parts, prefix: "", claimState: () => state });
  stores.begin("log");
  set = new PartitionSet({
    ...parts,
    ...stores.ofSet(),
    log,
    topic,
    isOwner: () => true,
    membership: () => "stable",
    backoff: { backoff_ms_min: 1, backoff_ms_max: 20 },
    onWarning: () => undefined,
  });
  set.partitionCount = 1;
  set.start();
  await runs();
});
afterEach(async () => {
  await set.close();
  await log.close();
  state.release();
  await dir[Symbol.asyncDispose]();
});

async function runs(): Promise<void> {
  set.assign([0]);
  await eventually(() => set.get(0)?.state === "running" && set.get(0)?.nextOffset === 1);
}

const halt = () => set.get(0)?.halt(new AppError("LOG_DISAGREES", WHY));

/** The partition moves away, and other members are seen to go on with it for long. */
async function moves(): Promise<void> {
  const actor = set.get(0);
  set.assign([]);
  await eventually(() => actor?.state === "stopped");
  for (const name of readdirSync(dirname(path()))) utimesSync(join(dirname(path()), name), 1_000, 1_000);
  await log.producer().append(
    topic,
    Array.from({ length: 9 }, (_, n) => recordOf(orderCreated({ orderId: `ORD-${n + 2}` }))),
  );
  for (let nextOffset = 2; nextOffset < 7; nextOffset++) {
    passed_ms += LOOKS_APART_MS;
    await stores.removeMoved(set.actors, {
      committed: async () => new Map([[0, { nextOffset }]]),
      ends: () => log.ends(topic),
    });
  }
}

test("a store whose partition has halted says why, also after that has moved to another member, and is not deleted", async () => {
  expect(existsSync(mark())).toBe(false);
  halt();
  expect(readFileSync(mark(), "utf8")).toBe(`${WHY}\n`);
  await moves();
  expect([existsSync(path()), existsSync(mark())]).toEqual([true, true]);
});

test("without a halt it would be deleted", async () => {
  await moves();
  expect(existsSync(path())).toBe(false);
});

test("it says so no more once the partition runs again", async () => {
  halt();
  set.assign([]);
  await runs();
  expect(existsSync(mark())).toBe(false);
});

test("to be opened is not enough for that", async () => {
  state.noteHalt(basename(path()), WHY);
  await set.close();
  const store = PartitionStore.open(
    openedFiles(state.open(basename(path()), NOW, { logId: "log", topic, partition: 0 })),
    NOW,
    0,
  );
  await saveAt(store, 2);
  expect(existsSync(mark())).toBe(true);
  store.reachedEnd();
  expect(existsSync(mark())).toBe(false);
  store.close();
});

test("a disk that cannot take it does not keep the partition from halting; the store is kept all the same", async () => {
  const note = state.noteHalt.bind(state);
  let tries = 0;
  state.noteHalt = (name, why) => {
    if (tries++ < 4) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    note(name, why);
  };
  halt();
  expect([set.get(0)?.state, existsSync(mark()), tries]).toEqual(["halted", false, 1]);
  await moves();
  expect([existsSync(path()), existsSync(mark())]).toEqual([true, true]);
});

test("it is set aside with its store", async () => {
  halt();
  set.rebuild(0, "an operator asked for it");
  await runs();
  const halted = readdirSync(dirname(path())).filter((name) => name.endsWith("-halted"));
  expect(halted).toEqual([expect.stringMatching(/\.set-aside-\d+-halted$/)]);
});

test("one of another version is not deleted either, beside one that runs or one that moves away", async () => {
  const earlier = NOW.map((projection) => ({ ...projection, version: projection.version - 1 })) as unknown as Projections;
  const name = state.storeName(topic, 0, earlier);
  const older = PartitionStore.open(openedFiles(state.open(name, earlier, { logId: "log", topic, partition: 0 })), earlier, 0);
  await saveAt(older, 1);
  older.close();
  state.noteHalt(name, WHY);
  expect(state.removeOutdated(topic, 0, NOW, Number.POSITIVE_INFINITY)).toEqual([]);
  await moves();
  expect([existsSync(path()), existsSync(state.path(name))]).toEqual([false, true]);
});
