import { expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../src/system/clock.ts";
import { noFaults } from "../../log/memory/memory-log.ts";
import { PlanFile } from "../../../src/tools/files/plan-file.ts";
import { type ExactRecord, headerOf } from "../../support/events/records.ts";
import { operationsRig, TOPIC } from "../rig.ts";
import { FIRST_MS, PARTITIONS, arrivedIn, expectedOf, nth, replay, some } from "./rig.ts";

test("the whole topic, a window, two orders, one type: exactly those, in order, each with its headers, while the source is written", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(600));
  const source = await rig.read(TOPIC);
  const ends = (await rig.log.watermarks(TOPIC)).map(({ endOffset }) => endOffset);
  const writing = new AbortController();
  const writer = (async () => {
    for (let n = 600; !writing.signal.aborted; n += 20) {
      await rig.append(...some(20, n));
      await Bun.sleep(1);
    }
  })();
  const iso = (seconds: number) => new Date(FIRST_MS + seconds * 1_000).toISOString();
  const typeOf = (record: ExactRecord) => headerOf(record, "ce_type") ?? /"event_type":"([A-Z_]+)"/.exec(record.value ?? "")?.[1];
  const cases: [args: string, isMeant: (record: ExactRecord) => boolean][] = [
    [`--to ${iso(600)}`, () => true],
    [
      `--from ${iso(100)} --to ${iso(200)}`,
      ({ timestamp_ms }) => timestamp_ms >= FIRST_MS + 100_000 && timestamp_ms < FIRST_MS + 200_000,
    ],
    // Every ninth record is an hour older, even behind the window.
    [`--to ${iso(150)}`, ({ timestamp_ms }) => timestamp_ms < FIRST_MS + 150_000],
    [`--orders ORD-3,17 --to ${iso(600)}`, ({ key }) => key === "ORD-3" || key === "ORD-17"],
    [`--types ORDER_CREATED --to ${iso(600)}`, (record) => typeOf(record) === "ORDER_CREATED"],
  ];
  for (const [i, [args, isMeant]] of cases.entries()) {
    const { code, said } = await replay(rig, `${args} --target t${i} --id r${i}`);
    // Old records that were written meanwhile match the window too.
    const arrived = (await rig.read(`t${i}`)).filter(
      (record) => Number(headerOf(record, "x-replayed-from-offset")) < ends[record.partition]!,
    );
    const expected = expectedOf(source, isMeant);
    expect({ args, code, said: code === 0 ? "" : said, count: expected.length > 0 }).toEqual({
      args,
      code: 0,
      said: "",
      count: true,
    });
    expect(arrivedIn(arrived)).toEqual(expected);
    for (const record of arrived) {
      expect([headerOf(record, "x-replay-id"), headerOf(record, "x-replayed-from-topic")]).toEqual([`r${i}`, TOPIC]);
      expect(headerOf(record, "x-replayed-from-partition")).toBe(String(record.partition));
    }
  }
  writing.abort();
  await writer;
});

test("--dry-run says what would go and changes nothing", async () => {
  await using rig = await operationsRig(2);
  await rig.append({ ...nth(0), partition: 0 }, { ...nth(1), partition: 1 }, { ...nth(60), partition: 0 });
  const { code, said } = await replay(rig, "--orders ORD-0 --dry-run");
  expect(code).toBe(0);
  expect(said.split("\n").slice(0, 5)).toEqual([
    "partition  offsets read  matching  from the first to the last",
    "        0           0–1         2                         0–1",
    "        1           0–0         0                        none",
    "2 records of orders.events would go to orders.replay.",
    '  0:0  2026-11-24T23:00:00.000Z  "ORD-0"  ORDER_CREATED',
  ]);
  expect(await rig.log.partitionCount("orders.replay")).toBe(0);
  expect(existsSync(join(rig.dataDir, "operations"))).toBe(false);
});

test("the live topic and the source are written to only with --yes; then each record comes once more, and the replay's own do not count", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(100));
  for (const args of [`--target ${TOPIC}`, `--topic other --target ${TOPIC}`, "--topic other --target other"]) {
    expect((await replay(rig, args)).code).toBe(2);
  }
  const source = await rig.read(TOPIC);
  expect(source).toHaveLength(100);
  expect((await replay(rig, `--target ${TOPIC} --yes --id again`)).code).toBe(0);
  const after = await rig.read(TOPIC);
  expect(after).toHaveLength(200);
  expect(arrivedIn(after.filter((record) => headerOf(record, "x-replay-id") === "again"))).toEqual(
    expectedOf(source, () => true),
  );
  // A finished replay is compared once more, and nothing is moved.
  expect((await replay(rig, `--yes --id again`)).code).toBe(0);
  expect(await rig.read(TOPIC)).toHaveLength(200);
  // Without its plan the replay begins anew, and still does not take what it wrote itself.
  rmSync(join(rig.dataDir, "operations", "replay-again.json"));
  expect((await replay(rig, `--target ${TOPIC} --yes --id again`)).code).toBe(0);
  expect(await rig.read(TOPIC)).toHaveLength(300);
});

test("the live dead letters' topic is written to only with --yes, as each record there is a letter", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(10));
  expect(await replay(rig, `--target ${TOPIC}.dlq`)).toEqual({
    code: 2,
    said: expect.stringContaining("each record is a letter"),
  });
  expect(await rig.log.partitionCount(`${TOPIC}.dlq`)).toBe(0);
  expect((await replay(rig, `--target ${TOPIC}.dlq --yes`)).code).toBe(0);
});

test("a type that no record has, and that this program does not write, is refused, and told which there are", async () => {
  await using rig = await operationsRig(PARTITIONS);
  const other = { partition: 0, key: "ORD-1", value: "{}", timestamp_ms: 1, headers: [["ce_type", "ORDER_REFUNDED"]] as const };
  await rig.append(other);
  for (const args of ["--types ORDER_MADE --target other", "--types ORDER_MADE --dry-run"]) {
    const { code, said } = await replay(rig, args);
    expect([code, said]).toEqual([
      2,
      expect.stringMatching(/^--types has ORDER_MADE, .* ORDER_CREATED, .*, ORDER_REFUNDED\.\n$/),
    ]);
  }
  expect(await rig.log.partitionCount("other")).toBe(0);
  expect(await replay(rig, "--types ORDER_CREATED --target other")).toMatchObject({ code: 0 });
  expect((await replay(rig, "--types ORDER_REFUNDED --target refunds")).said).toContain("All of 1 record ");
});

test("a range that ends with transactions' markers, with deleted records before it, ends all the same", async () => {
  await using rig = await operationsRig(1);
  const fenced = await rig.log.fencedProducer("someone");
  for (let n = 0; n < 5; n++) await fenced.append(TOPIC, [{ ...nth(n), partition: 0 }]);
  await rig.log.deleteRecords(TOPIC, 0, 4);
  const { code } = await replay(rig, "--id r");
  expect(code).toBe(0);
  expect((await rig.read("orders.replay")).map((record) => Number(headerOf(record, "x-replayed-from-offset")))).toEqual([
    4, 6, 8,
  ]);
});

test("a topic that does not exist is refused", async () => {
  await using rig = await operationsRig(3);
  expect(await replay(rig, "--topic nowhere")).toEqual({ code: 2, said: "There is no topic nowhere in the log (in memory).\n" });
});

test("a target with fewer partitions is refused", async () => {
  await using rig = await operationsRig(3);
  await rig.append({ ...nth(0), partition: 0 });
  await rig.log.createTopic("narrow", 2);
  expect((await replay(rig, "--target narrow")).said).toContain("narrow has 2 partitions, and 3 are needed");
});

test("options of a run that goes on are refused", async () => {
  await using rig = await operationsRig(3);
  await rig.append({ ...nth(0), partition: 0 });
  expect((await replay(rig, "--id r")).code).toBe(0);
  expect((await replay(rig, "--id r --orders 1")).said).toContain("goes on as it was: leave --orders out");
});

test("a run of another log is refused", async () => {
  await using rig = await operationsRig(3);
  await rig.append({ ...nth(0), partition: 0 });
  expect((await replay(rig, "--id r")).code).toBe(0);
  await using other = await operationsRig(3);
  expect((await replay(rig, "--id r", { log: other.log })).said).toContain("was made for the log");
});

test("a log that gives nothing although there is something, as behind an open transaction, is waited for in bounds", async () => {
  await using rig = await operationsRig(2, {
    ...noFaults,
    onFetch: (connection) => (connection.startsWith("operation") ? "empty" : "ok"),
  });
  await rig.append({ ...nth(0), partition: 1 });
  const clock = { ...systemClock, now_ms: () => systemClock.now_ms() * 300 };
  const { code, said } = await replay(rig, "", { clock });
  expect([code, said]).toEqual([
    2,
    "orders.events gave no record for 60 s at 1:0 (partition:offset). A transaction may be open there.\n",
  ]);
});

test("a run that another process has in hand is refused", async () => {
  await using rig = await operationsRig(1);
  await rig.append({ ...nth(0), partition: 0 });
  using _ = PlanFile.hold(rig.dataDir, "replay", "r");
  expect(await replay(rig, "--id r")).toEqual({ code: 2, said: "Another process runs replay-r now.\n" });
});
