import { expect, test } from "bun:test";
import { AppError } from "../../../src/errors.ts";
import { zstd } from "../../../src/runtime/snapshots/compression.ts";
import { SnapshotSchedule } from "../../../src/runtime/snapshots/snapshot-schedule.ts";
import { Snapshots } from "../../../src/runtime/snapshots/snapshots.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { FileStorage } from "../../../src/storage/file-storage.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { MemoryFiles } from "../../support/stores/memory-files.ts";
import { saveAt } from "../../support/stores/save-at.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { waitUntil } from "../../support/wait-until.ts";

const WAIT_MS = 60_000;
const subject = { logId: "log", topic: "orders", partition: 0, kind: { name: "orders", version: 4 } };

test("of two who have the same store one takes snapshots, and the other knows of them and takes over", async () => {
  await using dir = await tempDir();
  const clock = new ManualClock();
  const storage = new FileStorage(dir.path, () => crypto.randomUUID());
  const snapshots = new Snapshots({ storage, compression: zstd, clock, random: Math.random, kept: 5 });
  const reaches = async () => (await snapshots.list(subject)).map(({ name }) => Number(name.split("/").at(-2)?.split("-")[0]));
  const ending = new AbortController();
  let taker = "first";
  const start = (name: string) => {
    const store = new PartitionStore(new MemoryFiles(ORDER_SERVICE_PROJECTIONS), ORDER_SERVICE_PROJECTIONS, 0, () => undefined);
    let saved = 0;
    const source = { partition: 0, reach: () => saved, hold: () => store.hold(), onDamaged: () => undefined };
    const schedule = new SnapshotSchedule({
      snapshots,
      subject: () => subject,
      sources: () => [source],
      isOwner: () => true,
      takesSnapshots: () => taker === name,
      wait_ms: WAIT_MS,
      clock,
      onMessage: () => undefined,
    });
    void schedule.run(ending.signal);
    const save = async (offset: number) => {
      await saveAt(store, offset);
      saved = offset;
    };
    return { schedule, source, save };
  };
  const [first, second] = [start("first"), start("second")];
  const saveBoth = (offset: number) => Promise.all([first.save(offset), second.save(offset)]);
  const passUntil = (what: string, isSo: () => Promise<boolean> | boolean) =>
    waitUntil(what, async () => {
      await clock.pass(2_000);
      return isSo();
    });

  await saveBoth(3);
  await passUntil("the first one's", async () => (await reaches()).length > 0);
  await passUntil("the second one to hear of it", () => second.schedule.newest(0)?.reach === 3);
  await second.schedule.takeLast({ ...second.source, reach: () => 4 });
  await saveBoth(5);
  await passUntil("the first one's next", async () => (await reaches()).length > 1);
  await passUntil("the second one to hear of that", () => second.schedule.newest(0)?.reach === 5);
  expect(await reaches()).toEqual([5, 3]);

  taker = "second";
  await saveBoth(7);
  await passUntil("the second one's", () => second.schedule.newest(0)?.reach === 7);
  await passUntil("the first one to hear of it", () => first.schedule.newest(0)?.reach === 7);
  expect(await reaches()).toEqual([7, 5, 3]);

  const idleSince_ms = clock.now_ms();
  await passUntil("them to have been idle for long", () => clock.now_ms() - idleSince_ms > 4 * WAIT_MS);
  await saveBoth(8);
  await passUntil("one of them to take it", async () => (await reaches())[0] === 8);
  await passUntil("both to know of it", () => [first, second].every(({ schedule }) => schedule.newest(0)?.reach === 8));
  expect(await reaches()).toEqual([8, 7, 5, 3]);

  // Whoever is to take them may be unable to.
  taker = "nobody";
  await saveBoth(9);
  const since_ms = clock.now_ms();
  await passUntil("one of them to take it all the same", async () => (await reaches())[0] === 9);
  expect(clock.now_ms() - since_ms).toBeGreaterThan(2 * WAIT_MS);

  storage.list = () => Promise.reject(new AppError("STORAGE_FAILED", "It is away."));
  taker = "first";
  await second.save(11);
  await passUntil("the other one to notice", () => second.schedule.failure !== undefined);
  Reflect.deleteProperty(storage, "list");
  await passUntil("its outage to be over", () => second.schedule.failure === undefined);
  expect((await reaches())[0]).toBe(9);
  ending.abort();
});
