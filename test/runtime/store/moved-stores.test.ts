import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { dirname } from "node:path";
import { readConfig } from "../../../src/config/config.ts";
import type { CommittedOffset } from "../../../src/log/membership.ts";
import type { PartitionEnds } from "../../../src/log/port.ts";
import { Actors } from "../../../src/runtime/actors.ts";
import type { PartitionActor } from "../../../src/runtime/actor/actor.ts";
import { LOOKS_APART_MS, MOVED_KEPT_MS_MIN } from "../../../src/runtime/moved-stores.ts";
import { PartitionStores } from "../../../src/runtime/partition-stores.ts";
import type { Projections } from "../../../src/runtime/projections.ts";
import { StateDir } from "../../../src/runtime/store/state-dir.ts";
import { writtenAt_ms } from "../../../src/runtime/store/store-files.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { openedFiles } from "../../support/stores/opened-files.ts";
import { saveAt } from "../../support/stores/save-at.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";

const NOW = ORDER_SERVICE_PROJECTIONS;
const later = (by: number) =>
  NOW.map((projection) => ({ ...projection, version: projection.version + by })) as unknown as Projections;
const [EARLIER, NEXT] = [later(-1), later(1)];
const topic = readConfig({}).orders_topic;
const DAY_MS = 24 * LOOKS_APART_MS;
const ENDS: PartitionEnds = { startOffset: 0, endOffset: 1_000, stableOffset: 1_000, leaderEpoch: 0 };

let dir: Awaited<ReturnType<typeof tempDir>>;
let state: StateDir;
let stores: PartitionStores;
/** How much later it is on the process's clock, and on the wall clock. */
const passed = { ms: 0, wall_ms: 0 };
const clock = { ...systemClock, now_ms: () => passed.ms, wall_ms: () => Date.now() + passed.wall_ms };
let actors: Actors;
let claims: number;
/** What the others tell; a partition of which nothing is committed is left out. */
let told: { committed: Record<number, number | CommittedOffset>; topicId: string | undefined; ends: PartitionEnds };
let onAsked: (partitions: readonly number[]) => void;

const pathOf = (partition: number, projections = NOW) => state.path(state.storeName(topic, partition, projections));
const held = (partition: number, actorState = "running") =>
  ({ partition, state: actorState, hasStore: false }) as unknown as PartitionActor;

/** Saves the store as a process of that version does; a process that was killed leaves the files as they are. */
async function save(partition: number, offset: number, projections = NOW, topicId?: string): Promise<void> {
  const name = state.storeName(topic, partition, projections);
  const files = openedFiles(state.open(name, projections, { logId: "log", topic, partition }));
  const store = PartitionStore.open(files, projections, partition);
  store.topicId = topicId;
  await saveAt(store, offset);
  store.close();
}

/** Lets all files of the store seem to have been written long before. */
function age(path: string): void {
  const then_s = Date.now() / 1_000 - 100 * 86_400;
  for (const name of readdirSync(dirname(path)))
    if (`${dirname(path)}/${name}`.startsWith(path)) utimesSync(`${dirname(path)}/${name}`, then_s, then_s);
}

function restart(env: Record<string, string> = {}, isWaiting = false): void {
  stores = new PartitionStores({
    prefix: "",
    config: readConfig({ OLD_STORES_KEPT_MS: String(DAY_MS), ...env }),
    projections: NOW,
    claimState: () => {
      claims++;
      return state;
    },
    clock,
    random: () => 0,
    logger: createLogger({ level: "silent", format: "json" }),
  });
  stores.begin("log");
  if (!isWaiting) stores.claimed();
}

beforeEach(async () => {
  dir = await tempDir();
  state = StateDir.claim(dir.path, "log", "order-service", { newUuid: () => crypto.randomUUID(), projections: NOW });
  Object.assign(passed, { ms: 0, wall_ms: 0 });
  [actors, claims, onAsked] = [new Actors(), 0, () => undefined];
  told = { committed: {}, topicId: "T", ends: ENDS };
  await save(3, 12);
  age(pathOf(3));
  restart();
});
afterEach(async () => {
  state.release();
  await dir[Symbol.asyncDispose]();
});

async function look(committed: typeof told.committed): Promise<void> {
  passed.ms += LOOKS_APART_MS;
  told.committed = committed;
  await stores.removeMoved(actors, {
    committed: async (partitions) => {
      onAsked(partitions);
      return new Map(
        Object.entries(told.committed)
          .map(
            ([partition, commit]) => [Number(partition), typeof commit === "number" ? { nextOffset: commit } : commit] as const,
          )
          .filter(([partition]) => partitions.includes(partition)),
      );
    },
    ends: async () => ({ topicId: told.topicId, partitions: [ENDS, ENDS, ENDS, told.ends, told.ends] }),
  });
}

/** Looks, each an hour after the one before, that find this committed of partition 3. */
async function looks(...committed: readonly (number | CommittedOffset)[]): Promise<void> {
  for (const commit of committed) await look({ 3: commit });
}

const isThere = (path = pathOf(3)): boolean =>
  readdirSync(dirname(path)).some((name) => `${dirname(path)}/${name}`.startsWith(path));

describe("the store of a partition that has moved to another member", () => {
  test("is deleted with all its files, and told of no more, once three looks found that member further and further", async () => {
    await save(4, 7);
    expect(stores.localPositions(actors)).toEqual(new Map([3, 4].map((partition) => [partition, partition === 3 ? 12 : 7])));
    await looks(13, 14);
    expect(isThere()).toBe(true);
    await looks(15);
    expect([isThere(), isThere(pathOf(4))]).toEqual([false, true]);
    expect(stores.localPositions(actors)).toEqual(new Map([[4, 7]]));
  });

  test.each<[string, readonly number[]]>([
    // What this member committed before the partition moved may be beyond what it has saved.
    ["what is committed does not move", [13, 13, 13, 13]],
    ["it has moved once", [13, 14, 14, 14]],
    ["the first look found no more than is here", [12, 13, 14]],
    ["a member that knows less has taken over", [13, 14, 5, 15, 16]],
  ])("is kept while %s", async (_, committed) => {
    await looks(...committed);
    expect(isThere()).toBe(true);
  });

  test("is looked after once an hour, however often that is asked for", async () => {
    for (let n = 13; n < 20; n++) {
      await looks(n);
      passed.ms -= LOOKS_APART_MS;
    }
    expect(isThere()).toBe(true);
  });

  test("is kept while nothing is committed, or the group or the log cannot be asked", async () => {
    for (let n = 0; n < 4; n++) await look({});
    onAsked = () => {
      throw new Error("no group");
    };
    await looks(13, 14, 15);
    onAsked = () => undefined;
    told.ends = { unavailable: "no leader" };
    await looks(16, 17, 18);
    expect(isThere()).toBe(true);
  });

  test("is kept if it is of the topic that had the name before, and while what is committed is of another topic", async () => {
    const commit = (nextOffset: number, topicId: string) => ({ nextOffset, metadata: JSON.stringify({ topicId }) });
    await looks(commit(13, "S"), commit(14, "S"), commit(15, "S"), 2_000, 2_001, 2_002);
    expect(isThere()).toBe(true);
    await save(3, 12, NOW, "S");
    age(pathOf(3));
    await looks(13, 14, 15, 16);
    expect(isThere()).toBe(true);
    told.topicId = "S";
    await looks(17);
    expect(isThere()).toBe(false);
  });

  test("is kept under LOG_START=accept, where another may be further without what the log lost, unless the log has its head", async () => {
    restart({ LOG_START: "accept" });
    told.ends = { ...ENDS, startOffset: 5 };
    await looks(13, 14, 15);
    expect(isThere()).toBe(true);
    told.ends = ENDS;
    await looks(16);
    expect(isThere()).toBe(false);
  });

  test("is kept for OLD_STORES_KEPT_MS after it was written, and for a minute if that is less", async () => {
    await save(3, 13);
    await looks(14, 15, 16);
    expect(isThere()).toBe(true);
    restart({ OLD_STORES_KEPT_MS: "0" });
    await looks(17, 18, 19);
    expect(isThere()).toBe(true);
    passed.wall_ms = MOVED_KEPT_MS_MIN + 1_000;
    await looks(20);
    expect(isThere()).toBe(false);
  });
});

describe("a partition that was here in between is looked at anew", () => {
  test("if its store was opened", async () => {
    await looks(13, 14);
    const store = stores.ofSet().openStore(3);
    if (!("unusable" in store)) store.close();
    age(pathOf(3));
    await looks(15, 16);
    expect(isThere()).toBe(true);
    await looks(17);
    expect(isThere()).toBe(false);
  });

  test("if a look found it here, or it came back while the others were asked", async () => {
    await looks(13, 14);
    actors.set(3, held(3));
    await looks(15);
    actors.delete(3);
    await looks(16, 17);
    onAsked = () => void actors.set(3, held(3));
    await looks(18);
    expect(isThere()).toBe(true);
  });
});

describe("right before it is deleted", () => {
  test("its position is read again", async () => {
    expect(stores.localPositions(actors)).toEqual(new Map([[3, 12]]));
    await looks(13, 14);
    await save(3, 13);
    age(pathOf(3));
    await looks(15);
    expect(isThere()).toBe(true);
  });

  test.each(["reads", "writes"])("nobody may have it open who %s it", async (how) => {
    await looks(13, 14);
    const other = new Database(pathOf(3), how === "reads" ? { readonly: true } : { readwrite: true });
    other.query("SELECT * FROM position").all();
    await looks(15);
    expect(isThere()).toBe(true);
    other.close();
    await looks(16);
    expect(isThere()).toBe(false);
  });

  test("its log of writings counts, too", async () => {
    // Who is killed leaves what is committed in the log beside the database.
    const open = new Database(pathOf(3));
    open.run("UPDATE position SET next_offset = 13");
    const files = ["", "-wal"].map((end) => [end, readFileSync(pathOf(3) + end)] as const);
    open.close();
    for (const [end, bytes] of files) await Bun.write(pathOf(3) + end, bytes);
    age(pathOf(3));
    await looks(13, 14, 15);
    expect(isThere()).toBe(true);
    await looks(16, 17);
    expect(isThere()).toBe(false);
  });
});

test("a member that waits for another one claims no directory to tidy it", async () => {
  claims = 0;
  restart({}, true);
  await looks(13, 14, 15);
  expect([claims, isThere()]).toEqual([0, true]);
});

test("who looks into a store does not write it, although SQLite makes its files then; what is in its log was written", async () => {
  const path = pathOf(3);
  const before_ms = writtenAt_ms(path);
  const reader = new Database(path, { readonly: true });
  reader.query("SELECT * FROM position").all();
  reader.close();
  expect(["-shm", "-wal"].map((end) => statSync(path + end).mtimeMs > before_ms)).toEqual([true, true]);
  expect(writtenAt_ms(path)).toBe(before_ms);
  await Bun.write(`${path}-wal`, "what was committed");
  expect(writtenAt_ms(path)).toBe(statSync(`${path}-wal`).mtimeMs);
});

describe("the stores of other versions of a partition that has moved", () => {
  beforeEach(async () => {
    await save(3, 10, EARLIER);
    age(pathOf(3, EARLIER));
  });
  const left = () => [EARLIER, NOW, NEXT].map((projections) => existsSync(pathOf(3, projections)));

  test("go with it, but for those that are young or further than what others have", async () => {
    await save(3, 10, NEXT);
    await looks(13, 14, 15);
    expect(left()).toEqual([false, false, true]);
    age(pathOf(3, NEXT));
    await save(3, 40, later(2));
    age(pathOf(3, later(2)));
    await looks(16);
    expect([...left(), existsSync(pathOf(3, later(2)))]).toEqual([false, false, false, true]);
  });

  test("stay while it stays", async () => {
    await looks(11, 12, 13);
    expect(left()).toEqual([true, true, false]);
    await save(3, 12);
    await looks(14, 15, 16);
    expect(left()).toEqual([true, true, false]);
  });

  test("go without it where it is not there", async () => {
    await looks(13, 14, 15);
    await save(3, 10, EARLIER);
    age(pathOf(3, EARLIER));
    await looks(16);
    expect(left()).toEqual([false, false, false]);
  });
});
