import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { AppError } from "../../../src/errors.ts";
import { readiness } from "../../../src/http/health.ts";
import { type LeaderFault, noFaults } from "../../log/memory/memory-log.ts";
import { damage, filesWithFaults, isPositionWrite, type StatementFault } from "../../support/stores/store-faults.ts";
import { orderCreated, recordOf } from "../../support/events/orders.ts";
import { answerFor, eventually, Rig, TOPIC } from "../rig.ts";

const TRIMMED = 2;

/** ORD-1 to ORD-3 applied in partition 0 by another version of the program, ORD-9 in partition 1 by this one. */
async function ofAnotherVersion() {
  const leaders = new Map<number, LeaderFault>();
  const rig = new Rig({ ...noFaults, leader: (topic, partition) => (topic === TOPIC ? (leaders.get(partition) ?? "ok") : "ok") });
  await rig.prepare(2);
  await rig.append(
    ...["1", "2", "3"].map((id) => orderCreated({ orderId: `ORD-${id}` })),
    recordOf(orderCreated({ orderId: "ORD-9" }), { partition: 1 }),
  );
  const before = rig.start("x", [0, 1]);
  await eventually(() => readiness(before).status === "ready" && before.get(0)?.nextOffset === 3);
  await before.close();
  const path = rig.storePath("x", 0);
  const db = new Database(path);
  db.run("UPDATE store SET version = 99");
  db.close();
  const versionThere = () => {
    const there = new Database(path, { readonly: true });
    const found = there.query<{ version: number }, []>("SELECT version FROM store").get()?.version;
    there.close();
    return found;
  };
  const setAside = () => readdirSync(rig.dir).filter((name) => name.includes(".set-aside-"));
  return { rig, leaders, path, versionThere, setAside, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
}

test("a store whose schema is damaged is rebuilt from the log", async () => {
  await using rig = new Rig();
  await rig.prepare(1);
  await rig.append(orderCreated());
  const before = rig.start("x", [0]);
  await eventually(() => before.get(0)?.nextOffset === 1);
  await before.close();
  const db = new Database(rig.storePath("x", 0));
  db.run("ALTER TABLE orders_runs RENAME COLUMN merged_into TO merged_intp");
  db.close();
  const set = rig.start("x", [0]);
  await eventually(() => answerFor(set, "ORD-1") === "new");
  expect(readdirSync(rig.dir).filter((name) => name.includes(".set-aside-"))).not.toEqual([]);
});

describe("files whose database", () => {
  const away: [how: string, what: string, (path: string) => void][] = [
    ["was moved away", "missing", (path) => rmSync(path)],
    ["was emptied", "empty", (path) => truncateSync(path)],
    [
      "was made anew, and has no table",
      "empty",
      (path) => {
        rmSync(path);
        const db = new Database(path);
        db.run("PRAGMA user_version = 1");
        db.close();
      },
    ],
  ];

  async function withoutDatabase(take: (path: string) => void) {
    const rig = new Rig();
    await rig.prepare(1);
    await rig.append(orderCreated(), orderCreated({ orderId: "ORD-2" }));
    const before = rig.start("x", [0]);
    await eventually(() => before.get(0)?.nextOffset === 2);
    await before.close();
    const path = rig.storePath("x", 0);
    const creates = readFileSync(`${path}-creates`);
    take(path);
    return { rig, path, creates, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
  }

  test.each(away)("%s are named, set aside and rebuilt from the log", async (_, what, take) => {
    await using store = await withoutDatabase(take);
    const { rig, path, creates } = store;
    const set = rig.start("x", [0]);
    await eventually(() => answerFor(set, "ORD-1") === "new");
    expect(readFileSync(`${path}.set-aside-0-creates`)).toEqual(creates);
    const file = "x.0.sqlite";
    expect(rig.setAsideFor).toEqual([
      `its database is ${what}, and files beside it are not empty: ${file}-records, ${file}-creates, ${file}-applied`,
    ]);
  });

  test.each(away)("%s are left where they are where the log cannot rebuild them", async (_, what, take) => {
    await using store = await withoutDatabase(take);
    const { rig, path, creates } = store;
    await rig.log.deleteRecords(TOPIC, 0, 1);
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.state === "halted");
    expect(set.get(0)?.halted).toContain(`The store ${path} cannot be used (its database is ${what}, and files`);
    expect(readFileSync(`${path}-creates`)).toEqual(creates);
    expect(readdirSync(rig.dir).filter((name) => name.includes("set-aside"))).toEqual([]);
  });
});

describe("a store of another version", () => {
  test("is left where it is where the log cannot rebuild it: its partition halts alone, and says where it is and what to do", async () => {
    await using stores = await ofAnotherVersion();
    const { rig, path, versionThere, setAside } = stores;
    await rig.log.deleteRecords(TOPIC, 0, TRIMMED);
    const set = rig.start("x", [0, 1]);
    await eventually(() => set.get(0)?.state === "halted" && set.get(1)?.state === "running");
    expect(set.get(0)?.halted).toContain(`The store ${path} cannot be used (its version is 99, not `);
    expect(set.get(0)?.halted).toMatch(
      /begins at offset 2.*left where it is.*First start the service that had.*start that version.*last resort is LOG_START=accept/,
    );
    expect(answerFor(set, "ORD-1")).toBe("PARTITION_HALTED");
    await set.close();
    expect(versionThere()).toBe(99);
    expect(setAside()).toEqual([]);
  });

  test("is set aside where it is accepted that the log has lost its first records", async () => {
    await using stores = await ofAnotherVersion();
    const { rig, setAside } = stores;
    await rig.log.deleteRecords(TOPIC, 0, TRIMMED);
    rig.mayBeginLate = true;
    const set = rig.start("x", [0, 1]);
    await eventually(() => readiness(set).status === "ready");
    expect([set.get(0)?.startedAt, answerFor(set, "ORD-3")]).toEqual([TRIMMED, "new"]);
    expect(setAside()).toContain("x.0.sqlite.set-aside-0");
  });

  test("is left where it is, although that is accepted, as long as another member does not tell whether it has them", async () => {
    await using stores = await ofAnotherVersion();
    const { rig, setAside } = stores;
    await rig.log.deleteRecords(TOPIC, 0, TRIMMED);
    rig.mayBeginLate = true;
    rig.pace = 100;
    let questions = 0;
    let isSilent = true;
    rig.earlierElsewhere = async (partition, startOffset) => {
      questions++;
      if (isSilent) throw new AppError("OWNER_UNREACHABLE", `Nobody answers for ${partition} before ${startOffset}.`);
      return undefined;
    };
    const set = rig.start("x", [0, 1]);
    await eventually(() => questions > 20 && set.get(1)?.state === "running");
    const why = "Other members are asked whether they have what the log has lost. Nobody answers for 0 before 2.";
    expect(readiness(set)).toMatchObject({ status: "catching-up", reason: `Partition 0: ${why}` });
    expect(rig.warnings.filter((warning) => warning.includes("Nobody answers for 0")).length).toBeLessThan(5);
    expect(setAside()).toEqual([]);
    isSilent = false;
    await eventually(() => set.get(0)?.state === "running");
    expect(set.get(0)?.startedAt).toBe(TRIMMED);
  });

  test("is waited for anew where the partition comes back: a wait of when it was held before does not count", async () => {
    await using stores = await ofAnotherVersion();
    const { rig } = stores;
    await rig.log.deleteRecords(TOPIC, 0, TRIMMED);
    rig.mayBeginLate = true;
    rig.pace = 100;
    let questions = 0;
    rig.earlierElsewhere = async () => void questions++;
    rig.lateStartWait_ms = 60_000;
    const set = rig.start("x", [0, 1]);
    await eventually(() => questions > 0);
    set.assign([1]);
    rig.passed_ms += 3_600_000;
    const before = questions;
    set.assign([0, 1]);
    await eventually(() => questions > before);
    await Bun.sleep(30);
    expect(set.get(0)?.preparing).toContain("Whoever had the partition before is waited for.");
    rig.passed_ms += 60_000;
    await eventually(() => set.get(0)?.state === "running");
  });

  test("is left alone as long as the log does not tell where it begins, and that is said", async () => {
    await using stores = await ofAnotherVersion();
    const { rig, leaders, setAside } = stores;
    leaders.set(0, "none");
    const set = rig.start("x", [0, 1]);
    await eventually(() => set.get(0)?.hindered !== undefined && set.get(1)?.state === "running");
    expect(readiness(set).partitions[0]).toMatchObject({ state: "created", reason: expect.stringContaining("has no leader") });
    expect(setAside()).toEqual([]);
    expect(answerFor(set, "ORD-1")).toBe("LOG_UNAVAILABLE");
    leaders.clear();
    await eventually(() => answerFor(set, "ORD-1") === "new" && set.get(0)?.hindered === undefined);
    expect(setAside()).toContain("x.0.sqlite.set-aside-0");
  });

  test("is tried again where it cannot be set aside", async () => {
    await using stores = await ofAnotherVersion();
    const { rig, setAside } = stores;
    let failures = 1;
    const set = rig.start("x", [0, 1]);
    rig.beforeSettingAside = () => {
      if (failures-- > 0) throw new Error("read-only file system");
    };
    await eventually(() => set.get(0)?.state === "suspended");
    await eventually(() => answerFor(set, "ORD-1") === "new");
    expect(setAside()).toContain("x.0.sqlite.set-aside-0");
  });
});

describe("where the log has lost its first records", () => {
  test("a store that an operator wants rebuilt is kept, and its partition goes on", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(...["1", "2", "3"].map((id) => orderCreated({ orderId: `ORD-${id}` })));
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.nextOffset === 3);
    await rig.log.deleteRecords(TOPIC, 0, TRIMMED);
    set.rebuild(0, "an operator asked for it");
    await eventually(() => rig.warnings.some((warning) => warning.includes("is not rebuilt, and the partition goes on with it")));
    expect(rig.warnings.join()).toContain("begins at offset 2");
    await eventually(() => set.get(0)?.state === "running");
    expect(answerFor(set, "ORD-1")).toBe("new");
  });

  test("a store that turns out damaged is left where it is", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(orderCreated(), orderCreated({ orderId: "ORD-2" }));
    const damaged: StatementFault = (run, [, nextOffset]) => {
      if (Number(nextOffset) > 2) throw damage();
      return run();
    };
    const set = rig.start(
      "x",
      [0],
      filesWithFaults((sql) => (isPositionWrite(sql) ? damaged : undefined)),
    );
    await eventually(() => set.get(0)?.nextOffset === 2);
    await rig.log.deleteRecords(TOPIC, 0, 1);
    await rig.append(orderCreated({ orderId: "ORD-3" }));
    await eventually(() => set.get(0)?.halted?.includes("left where it is") === true);
    expect(set.get(0)?.halted).toContain("malformed");
    expect(existsSync(rig.storePath("x", 0))).toBe(true);
    expect(readdirSync(rig.dir).filter((name) => name.includes(".set-aside-"))).toEqual([]);
  });
});
