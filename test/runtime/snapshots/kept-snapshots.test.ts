import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstd } from "../../../src/runtime/snapshots/compression.ts";
import { Snapshots } from "../../../src/runtime/snapshots/snapshots.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { FileStorage } from "../../../src/storage/file-storage.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { codeOf } from "../../support/code-of.ts";
import { MemoryFiles } from "../../support/stores/memory-files.ts";
import { saveAt } from "../../support/stores/save-at.ts";

const dir = mkdtempSync(join(tmpdir(), "order-processing-snapshots-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const subject = { logId: "log", topic: "orders", partition: 0, kind: { name: "orders", version: 4 } };

async function opened(name: string) {
  const storage = new FileStorage(join(dir, name), () => crypto.randomUUID());
  const snapshots = new Snapshots({ storage, compression: zstd, clock: systemClock, random: Math.random, kept: 2 });
  const store = new PartitionStore(new MemoryFiles(ORDER_SERVICE_PROJECTIONS), ORDER_SERVICE_PROJECTIONS, 0, () => undefined);
  const take = async (nextOffset: number, requireWanted = () => undefined as void) => {
    await saveAt(store, nextOffset);
    return snapshots.take(store.hold(), subject, requireWanted);
  };
  const names = async () =>
    (await snapshots.list(subject)).map((one) => [one.name.split("/").at(-2)?.split("-")[0], one.isFinished]);
  return { storage, snapshots, take, names, path: (object: string) => join(dir, name, object) };
}

const at = (offset: number): string => String(offset).padStart(16, "0");

test("one that is given up before its manifest is none, and goes after a day", async () => {
  const { snapshots, take, names, path } = await opened("torn");
  let calls = 0;
  const givenUp = (): void => {
    // The parts are there by then.
    if (++calls > 6) throw new Error("given up");
  };
  await expect(take(5, givenUp)).rejects.toThrow("given up");
  expect(await names()).toEqual([[at(5), false]]);
  const good = await take(7);
  expect(await snapshots.prune(subject, good)).toEqual([]);
  const [, torn] = await snapshots.list(subject);
  const yesterday_s = Date.now() / 1_000 - 24 * 3_600 - 1;
  for (const object of torn?.objects.keys() ?? []) utimesSync(path(`${torn?.name}${object}`), yesterday_s, yesterday_s);
  expect(await snapshots.prune(subject, good)).toEqual([torn?.name ?? ""]);
  expect(await names()).toEqual([[at(7), true]]);
});

test("two owners that take one at once spoil nothing, and each is whole", async () => {
  const [one, other] = [await opened("owners"), await opened("owners")];
  const { snapshots, names } = one;
  const both = await Promise.all([one.take(5), other.take(5)]);
  expect(new Set(both.map(({ name }) => name)).size).toBe(2);
  expect(await names()).toEqual([
    [at(5), true],
    [at(5), true],
  ]);
  for (const listed of await snapshots.list(subject))
    expect((await snapshots.read(listed)).digest).toBe(both[0]?.manifest.digest);
});

test("one that cannot be read back as it was put is not taken for one, and deletes nothing", async () => {
  const { storage, take, names } = await opened("not read back");
  await take(3);
  await take(4);
  const get = storage.get.bind(storage);
  storage.get = async (name, bytes_max) => (name.endsWith("000000") ? Buffer.from("other bytes") : get(name, bytes_max));
  expect(await codeOf(take(5))).toBe("SNAPSHOT_UNUSABLE");
  expect((await names()).map(([offset]) => offset)).toEqual([at(5), at(4), at(3)]);
});
