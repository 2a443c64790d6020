import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readiness } from "../../../src/http/health.ts";
import type { PartitionSet } from "../../../src/runtime/partition-set.ts";
import { MANIFEST_NAME } from "../../../src/runtime/snapshots/manifest.ts";
import { FileStorage } from "../../../src/storage/file-storage.ts";
import { orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { answerFor, eventually, Rig, TOPIC } from "../rig.ts";

const newRig = async (partitions = 1): Promise<Rig> => {
  const rig = new Rig();
  rig.storage = new FileStorage(join(rig.dir, "snapshots"), () => crypto.randomUUID());
  // What waits for seconds need not keep the tests as long.
  rig.pace = 20;
  await rig.prepare(partitions);
  return rig;
};

const orders = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => orderCreated({ orderId: `ORD-${from + n}`, eventId: `create-${from + n}` }));

/** The names of the snapshots, the furthest first. */
const names = (rig: Rig): string[] => {
  try {
    return readdirSync(join(rig.dir, "snapshots/log", TOPIC, kindDirectory(rig), "0"))
      .toSorted()
      .toReversed();
  } catch {
    return [];
  }
};
const kindDirectory = (rig: Rig): string => readdirSync(join(rig.dir, "snapshots/log", TOPIC))[0] ?? "none";
const pathOf = (rig: Rig, name: string): string => join(rig.dir, "snapshots/log", TOPIC, kindDirectory(rig), "0", name);

const reachOf = (name: string): number => Number(name.split("-")[0]);

/** Resolves once a snapshot is there that has everything before the offset. */
const taken = (rig: Rig, offset: number): Promise<boolean> =>
  eventually(() => names(rig).some((name) => reachOf(name) >= offset && readdirSync(pathOf(rig, name)).includes(MANIFEST_NAME)));

const running = (set: PartitionSet, offset: number): Promise<boolean> =>
  eventually(() => set.get(0)?.state === "running" && set.get(0)?.nextOffset === offset);

/** Twenty orders, a snapshot of them, five orders more, and the digest of all. */
async function withSnapshot(rig: Rig): Promise<string | undefined> {
  await rig.append(...orders(0, 20));
  const set = rig.start("first", [0]);
  await taken(rig, 20);
  await set.close();
  rig.snapshot_wait_ms = 3_600_000;
  const again = rig.start("first", [0]);
  await rig.append(...orders(20, 5), statusUpdated({ orderId: "ORD-3", eventId: "u", status: "shipped" }));
  await running(again, 26);
  const digest = again.get(0)?.digest;
  rig.owner = false;
  await again.close();
  rig.owner = true;
  return digest;
}

describe("a snapshot", () => {
  test("is taken of a store that has moved on, read back, and shows with the partition", async () => {
    await using rig = await newRig();
    await rig.append(...orders(0, 20));
    const set = rig.start("first", [0]);
    await taken(rig, 20);
    await eventually(() => set.get(0)?.snapshot?.offset === 20);
    expect(names(rig)).toHaveLength(1);
    await Bun.sleep(200);
    expect(names(rig)).toHaveLength(1);
    const manifest = JSON.parse(readFileSync(join(pathOf(rig, names(rig)[0] ?? ""), MANIFEST_NAME), "utf8")) as object;
    expect(manifest).toMatchObject({ format: 1, logId: "log", topic: TOPIC, partition: 0, digest: set.get(0)?.digest });
    expect(manifest).toMatchObject({ positions: [{ partition: 0, nextOffset: 20, last: { offset: 19 } }] });
  });

  test("is taken of a store that stops, and not of one that has one already", async () => {
    await using rig = await newRig();
    rig.snapshot_wait_ms = 3_600_000;
    await rig.append(...orders(0, 20));
    const set = rig.start("first", [0]);
    await taken(rig, 20);
    await rig.append(...orders(20, 1));
    await running(set, 21);
    await set.close();
    expect(names(rig).map(reachOf)).toEqual([21, 20]);
    const again = rig.start("first", [0]);
    await running(again, 21);
    await again.close();
    expect(names(rig).map(reachOf)).toEqual([21, 20]);
  });

  test("is taken while the store goes on, and holds what was saved when it began", async () => {
    await using rig = await newRig();
    await rig.append(...orders(0, 200));
    const { storage } = rig;
    let appended = 200;
    rig.storage = undefined;
    const set = rig.start("first", [0]);
    await running(set, 200);
    await set.close();
    // Between two parts more is applied and saved.
    rig.storage = new (class extends FileStorage {
      override async put(name: string, bytes: Uint8Array): Promise<void> {
        if (appended < 1_000 && name !== "probe") {
          await rig.append(...orders(appended, 100));
          appended += 100;
          await Bun.sleep(100);
        }
        return super.put(name, bytes);
      }
    })(join(rig.dir, "snapshots"), () => crypto.randomUUID());
    const moving = rig.start("first", [0]);
    await taken(rig, 200);
    expect(reachOf(names(rig).at(-1) ?? "")).toBe(200);
    rig.storage = storage;
    await running(moving, appended);
    const digest = moving.get(0)?.digest;
    await moving.close();
    const other = rig.start("other", [0]);
    await running(other, appended);
    expect(other.get(0)?.digest).toBe(digest);
    expect(rig.told.join("\n")).toContain("Restoring from the snapshot");
  });

  test("that is older than the newest SNAPSHOTS_KEPT is deleted", async () => {
    await using rig = await newRig();
    rig.snapshots_kept = 2;
    const set = rig.start("first", [0]);
    for (let round = 1; round <= 4; round++) {
      await rig.append(...orders(round, 1));
      await taken(rig, round);
    }
    await eventually(() => names(rig).length === 2);
    expect(names(rig).map(reachOf)).toEqual([4, 3]);
    await set.close();
  });
});

describe("an instance without a store", () => {
  test("goes on from the newest snapshot, also where the log has lost what is before it", async () => {
    await using rig = await newRig();
    const digest = await withSnapshot(rig);
    await rig.log.deleteRecords(TOPIC, 0, 20);
    const set = rig.start("second", [0]);
    await running(set, 26);
    expect(set.get(0)).toMatchObject({ digest, startedAt: 0 });
    expect(answerFor(set, "ORD-3")).toBe("shipped");
    expect(rig.told.join("\n")).toMatch(
      /0: Restoring from the snapshot .*, of offset 20 at .*\n0: Restored from the snapshot in/,
    );
  });

  test("is not ready while it is restored, though another partition is, and says what it does", async () => {
    await using rig = await newRig(2);
    await withSnapshot(rig);
    await rig.log.deleteRecords(TOPIC, 0, 20);
    const release = Promise.withResolvers<void>();
    const { storage } = rig;
    rig.storage = storage && {
      url: storage.url,
      list: (prefix) => storage.list(prefix),
      put: (name, bytes) => storage.put(name, bytes),
      remove: (name) => storage.remove(name),
      get: (name, bytes_max) => release.promise.then(() => storage.get(name, bytes_max)),
    };
    const set = rig.start("second", [0, 1]);
    await eventually(() => set.get(1)?.state === "running" && set.get(0)?.preparing !== undefined);
    expect(readiness(set)).toMatchObject({
      status: "catching-up",
      partitions: [{ state: "created", reason: "Its store is being restored from a snapshot." }, { state: "running" }],
    });
    release.resolve();
    await running(set, 26);
    expect(readiness(set).status).toBe("ready");
  });

  test("halts where the log has lost more, and says what is missing", async () => {
    await using rig = await newRig();
    await withSnapshot(rig);
    await rig.log.deleteRecords(TOPIC, 0, 21);
    const set = rig.start("second", [0]);
    await eventually(() => set.get(0)?.state === "halted");
    expect(set.get(0)?.halted).toContain("The log begins at offset 21: the records 0 to 20 were removed");
    expect(set.get(0)?.halted).toMatch(/none of its 1 snapshots .* ends at offset 20 .* and the log begins at offset 21/);
  });

  test("reads the log from its start where there is no snapshot that it can use", async () => {
    await using rig = await newRig();
    const digest = await withSnapshot(rig);
    rmSync(join(pathOf(rig, names(rig)[0] ?? ""), MANIFEST_NAME));
    const set = rig.start("second", [0]);
    await running(set, 26);
    expect(set.get(0)?.digest).toBe(digest);
    expect(rig.told.join("\n")).not.toContain("Restor");
  });

  test.each(["damaged", "cut off", "missing"])("passes over a snapshot that is %s for the one before", async (how) => {
    await using rig = await newRig();
    await rig.append(...orders(0, 20));
    const set = rig.start("first", [0]);
    await taken(rig, 20);
    await rig.append(...orders(20, 1));
    await taken(rig, 21);
    const digest = set.get(0)?.digest;
    await set.close();
    const part = join(pathOf(rig, names(rig)[0] ?? ""), "000000");
    const bytes = readFileSync(part);
    if (how === "missing") rmSync(part);
    else if (how === "cut off") writeFileSync(part, bytes.subarray(0, -1));
    else
      writeFileSync(
        part,
        bytes.map((byte, n) => (n === 9 ? byte ^ 1 : byte)),
      );
    await rig.log.deleteRecords(TOPIC, 0, 20);
    const other = rig.start("second", [0]);
    await running(other, 21);
    expect(other.get(0)?.digest).toBe(digest);
    expect(rig.told.join("\n")).toMatch(/cannot be used: its part 000000|the checksum of its part 000000/);
    expect(rig.told.join("\n")).toContain("of offset 20 at");
  });

  test("passes over a snapshot of another log, of a topic made anew, and of a newer format", async () => {
    await using rig = await newRig();
    await withSnapshot(rig);
    const manifest = join(pathOf(rig, names(rig)[0] ?? ""), MANIFEST_NAME);
    // It is changed by somebody who means it, and not by damage.
    const text = readFileSync(manifest, "utf8").replace(/,\n "sha256": "[0-9a-f]{64}"\n}/, "\n}");
    await rig.log.deleteRecords(TOPIC, 0, 20);
    const why = async (name: string, changed: string): Promise<string> => {
      writeFileSync(manifest, changed);
      const set = rig.start(name, [0]);
      await eventually(() => set.get(0)?.state === "halted");
      return set.get(0)?.halted ?? "";
    };
    expect(await why("a", text.replace('"logId": "log"', '"logId": "other"'))).toContain("it is of the log other, not log");
    expect(await why("b", text.replace(/"topicId": "[^"]*"/, '"topicId": "old"'))).toContain("the topic that was deleted, old");
    expect(await why("c", text.replace('"format": 1', '"format": 2'))).toContain("its format is 2, and this program reads");
    expect(await why("d", text.replace('"partition": 0,', '"partition": 1,'))).toContain(
      "it is of partition 1, not of partition 0",
    );
    expect(await why("e", text.replace(/"version": \d+/, '"version": 999'))).toContain("in version 999, not orders in version");
  });

  test("halts where the log has another record than the snapshot's last one", async () => {
    await using rig = await newRig();
    await withSnapshot(rig);
    rig.broker.topics.elect(TOPIC, 0, 10);
    await rig.append(...orders(100, 30));
    const set = rig.start("second", [0]);
    await eventually(() => set.get(0)?.state === "halted");
    expect(set.get(0)?.halted).toContain("At offset 19 the log holds another record than the one applied");
    expect(set.get(0)?.halted).toContain("delete those that were taken since");
  });
});

describe("a store", () => {
  test("that the log has outrun is set aside for the newest snapshot", async () => {
    await using rig = await newRig();
    await rig.append(...orders(0, 5));
    const { storage } = rig;
    rig.storage = undefined;
    const old = rig.start("old", [0]);
    await running(old, 5);
    await old.close();
    rig.storage = storage;
    await rig.append(...orders(5, 15));
    const first = rig.start("first", [0]);
    await taken(rig, 20);
    const digest = first.get(0)?.digest;
    await first.close();
    await rig.log.deleteRecords(TOPIC, 0, 20);
    const set = rig.start("old", [0]);
    await running(set, 20);
    expect(set.get(0)?.digest).toBe(digest);
    expect(readdirSync(rig.dir)).toContain("old.0.sqlite.set-aside-0");
  });

  test("that the log has outrun halts, and stays, where no snapshot fits", async () => {
    await using rig = await newRig();
    await rig.append(...orders(0, 5));
    rig.snapshot_wait_ms = 3_600_000;
    const old = rig.start("old", [0]);
    await running(old, 5);
    await old.close();
    await rig.append(...orders(5, 15));
    await rig.log.deleteRecords(TOPIC, 0, 20);
    const set = rig.start("old", [0]);
    await eventually(() => set.get(0)?.state === "halted");
    expect(set.get(0)?.halted).toMatch(/goes on at offset 5, but the log holds 20 to 20.* No snapshot takes its place/);
    expect(set.get(0)?.nextOffset).toBe(5);
  });

  test("that is damaged is replaced by a snapshot where the log cannot rebuild it", async () => {
    await using rig = await newRig();
    const digest = await withSnapshot(rig);
    await rig.log.deleteRecords(TOPIC, 0, 20);
    writeFileSync(rig.storePath("first", 0), Buffer.alloc(8_192, 0xa5));
    const set = rig.start("first", [0]);
    await running(set, 26);
    expect(set.get(0)?.digest).toBe(digest);
    expect(readdirSync(rig.dir)).toContain("first.0.sqlite.set-aside-0");
  });

  test("is rebuilt from the log when somebody asks, if the log has everything", async () => {
    await using rig = await newRig();
    const digest = await withSnapshot(rig);
    const set = rig.start("first", [0]);
    await running(set, 26);
    rig.told.length = 0;
    set.rebuild(0, "asked");
    await running(set, 26);
    expect(set.get(0)?.digest).toBe(digest);
    expect(rig.told).toEqual([]);
  });

  test("is made of a snapshot when somebody asks, if the log has not everything", async () => {
    await using rig = await newRig();
    const digest = await withSnapshot(rig);
    await rig.log.deleteRecords(TOPIC, 0, 20);
    const set = rig.start("first", [0]);
    await running(set, 26);
    set.rebuild(0, "asked");
    await eventually(() => rig.told.some((line) => line.includes("Restored from")));
    await running(set, 26);
    expect(set.get(0)?.digest).toBe(digest);
  });
});
