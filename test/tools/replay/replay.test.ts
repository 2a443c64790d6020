import { expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import type { NewRecord } from "../../../src/log/port.ts";
import { noFaults } from "../../log/memory/memory-log.ts";
import { encodeEvent } from "../../../src/orders/events/encode.ts";
import { PlanFile } from "../../../src/tools/files/plan-file.ts";
import { runReplay } from "../../../src/tools/replay/replay-command.ts";
import { orderCreated, statusUpdated } from "../../support/orders.ts";
import { type ExactRecord, headerOf } from "../../support/records.ts";
import { contentOf, type OperationsRig, operationsRig, spoiled, TOPIC } from "../rig.ts";

const PARTITIONS = 12;
const FIRST_MS = Date.parse("2026-11-25T00:00:00Z");

/** The n-th record of a topic of 30 orders with everything in it, a second after the one before; every ninth an hour older. */
function nth(n: number): NewRecord {
  const orderId = `ORD-${n % 30}`;
  const event =
    n < 30 ? orderCreated({ orderId, eventId: `c${n}` }) : statusUpdated({ orderId, eventId: `u${n}`, status: "shipped" });
  const value = n % 17 === 3 ? `poison ${n}` : n % 19 === 5 ? null : encodeEvent(event);
  return {
    partition: (n % 30) % PARTITIONS,
    key: n % 23 === 7 ? null : orderId,
    value,
    timestamp_ms: FIRST_MS + n * 1_000 - (n % 9 === 0 ? 3_600_000 : 0),
    headers:
      n % 2 === 0
        ? [
            ["d", "1"],
            ["n", null],
            ["d", "2"],
            ["ce_type", event.type],
          ]
        : [],
  };
}
const some = (count: number, from = 0) => Array.from({ length: count }, (_, i) => nth(from + i));

/** In the order of partitions and offsets, as the log gives them. */
const expectedOf = (records: readonly ExactRecord[], isMeant: (record: ExactRecord) => boolean) =>
  records.filter(isMeant).map((record) => ({ ...contentOf(record), from: record.offset }));
const arrivedIn = (records: readonly ExactRecord[]) =>
  records.map((record) => ({ ...contentOf(record), from: Number(headerOf(record, "x-replayed-from-offset")) }));

const replay = (rig: OperationsRig, args = "", more: Parameters<OperationsRig["run"]>[2] = {}) => rig.run(runReplay, args, more);

/** Reports what a planted bug does to the comparison. */
const verdict = ({ code, said }: { code: number; said: string }) => [
  code,
  ...(said.match(/^(missing|changed|unexpected|out of order|repeated): .*$/gm) ?? []),
];

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
    // Every ninth record is an hour older, also those behind the window.
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
  // What is done is compared once more, and nothing is moved.
  expect((await replay(rig, `--yes --id again`)).code).toBe(0);
  expect(await rig.read(TOPIC)).toHaveLength(200);
  // Its plan lost, it begins anew, and still does not take what it wrote itself.
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

test("a topic that does not exist, a target with fewer partitions, a run of another log, options of a run that goes on: refused", async () => {
  await using rig = await operationsRig(3);
  await rig.append({ ...nth(0), partition: 0 });
  await rig.log.createTopic("narrow", 2);
  expect(await replay(rig, "--topic nowhere")).toEqual({ code: 2, said: "There is no topic nowhere in the log (in memory).\n" });
  expect((await replay(rig, "--target narrow")).said).toContain("narrow has 2 partitions, and 3 are needed");
  expect((await replay(rig, "--id r")).code).toBe(0);
  expect((await replay(rig, "--id r --orders 1")).said).toContain("goes on as it was: leave --orders out");
  await using other = await operationsRig(3);
  expect((await replay(rig, "--id r", { log: other.log })).said).toContain("was made for the log");
});

test("answers lost, appends refused and late, reads that fail: each record arrives once", async () => {
  let appends = 0;
  let fetches = 0;
  const faults = ["ok", "lose-answer", "ok", "land-late", "ok", "reject"] as const;
  await using rig = await operationsRig(PARTITIONS, {
    ...noFaults,
    onAppend: (connection) => (connection.startsWith("operation") ? (faults[appends++ % faults.length] ?? "ok") : "ok"),
    onFetch: (connection) => (connection.startsWith("operation") && fetches++ % 7 === 0 ? "reject" : "ok"),
  });
  await rig.append(...some(4_000));
  const source = await rig.read(TOPIC);
  // So that it takes many appends.
  const { code, said } = await replay(rig, "--id r --rate 3000");
  expect([code, said.includes("It is tried again")]).toEqual([0, true]);
  expect(arrivedIn(await rig.read("orders.replay"))).toEqual(expectedOf(source, () => true));
});

test("what an append whose answer was lost left on its way lands, at the latest, when its producer is fenced: it is looked up after that", async () => {
  await using rig = await operationsRig(1);
  await rig.append(...[0, 1, 2].map((n) => ({ ...nth(n), partition: 0 })));
  const connected = rig.broker.connect("operation");
  let late: readonly NewRecord[] = [];
  const log = spoiled(connected, (records) => {
    if (late.length > 0) return records;
    late = records;
    throw new AppError("APPEND_OUTCOME_UNKNOWN", "The answer was lost.");
  });
  const fencedProducer = async (id: string) => {
    if (late.length > 0) await connected.producer().append("orders.replay", late);
    return log.fencedProducer(id);
  };
  const landing = new Proxy(log, {
    get: (target, name) => (name === "fencedProducer" ? fencedProducer : (Reflect.get(target, name, target) as unknown)),
  });
  expect((await replay(rig, "", { log: landing })).code).toBe(0);
  expect(await rig.read("orders.replay")).toHaveLength(3);
});

test("what cannot be mended is given up after a bounded time, and how to go on is said; going on, it ends whole", async () => {
  let isBroken = true;
  await using rig = await operationsRig(PARTITIONS, {
    ...noFaults,
    onAppend: (connection) => (connection.startsWith("operation") && isBroken ? "reject" : "ok"),
  });
  await rig.append(...some(300));
  const clock = { ...systemClock, now_ms: () => systemClock.now_ms() * 300 };
  const { code, said } = await replay(rig, "--id r --orders ORD-3", { clock });
  expect([code, said.match(/It is tried again/g)?.length]).toEqual([1, 1]);
  expect(said).toEndWith("To go on: bun run replay --id r\n");
  isBroken = false;
  expect((await replay(rig, "--id r")).code).toBe(0);
  expect((await rig.read("orders.replay")).length).toBeGreaterThan(5);
});

test("interrupted anywhere, it goes on behind what is there, and each record arrived once", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(3_000));
  const source = await rig.read(TOPIC);
  let interruptions = 0;
  for (let wait_ms = 5; ; wait_ms += 10) {
    const { code, said } = await replay(rig, "--id r --rate 30000", { signal: AbortSignal.timeout(wait_ms) });
    if (code === 0) break;
    expect(code).toBe(130);
    if (said.includes("To go on")) interruptions++;
  }
  expect(interruptions).toBeGreaterThan(1);
  expect(arrivedIn(await rig.read("orders.replay"))).toEqual(expectedOf(source, () => true));
});

test("a mover that loses, alters, adds, doubles or reorders is found out, and where", async () => {
  await using rig = await operationsRig(1);
  await rig.append(...[0, 1, 3, 2].map((n) => ({ ...nth(n), partition: 0 })));
  const spoils: [name: string, spoil: (records: readonly NewRecord[]) => readonly NewRecord[], expected: unknown[]][] = [
    ["nothing", (records) => records, [0]],
    ["lost", (records) => records.filter((_, i) => i !== 1), [1, "missing: orders.events 0:1: it did not arrive"]],
    [
      "altered",
      (records) =>
        records.map((record, i) =>
          i === 0 ? { ...record, value: "x", timestamp_ms: 1, headers: record.headers.slice(1) } : record,
        ),
      [1, "changed: orders.events 0:0 at altered 0:0: value, timestamp, headers differ"],
    ],
    // A record that is no event would be a dead letter twice.
    [
      "doubled",
      (records) => [...records, ...records.slice(2, 4)],
      [1, "repeated: orders.events 0:2 at doubled 0:4: it has no event id by which it would count once"],
    ],
    ["reordered", (records) => records.toReversed(), [1, "out of order"]],
    [
      "added",
      (records) => [
        {
          ...records[0]!,
          headers: records[0]!.headers.map(([name, value]) => [name, name === "x-replayed-from-offset" ? "9" : value] as const),
        },
        ...records,
      ],
      [1, "unexpected: orders.events 0:9 at added 0:0"],
    ],
    [
      "misplaced",
      (records) => [
        ...records,
        {
          ...records[0]!,
          headers: records[0]!.headers.map(
            ([name, value]) => [name, name === "x-replayed-from-partition" ? "1" : value] as const,
          ),
        },
      ],
      [1, "unexpected: orders.events 0:0 at misplaced 0:4: it comes from partition 1"],
    ],
  ];
  for (const [target, spoil, expected] of spoils) {
    const ran = await replay(rig, `--target ${target}`, { log: spoiled(rig.broker.connect(`operation ${target}`), spoil) });
    const [code, first = "", ...rest] = verdict(ran);
    expect({ target, code, first: expected.length > 1 ? String(first).startsWith(String(expected[1])) : first }).toEqual({
      target,
      code: expected[0] as number,
      first: expected.length > 1 ? true : "",
    });
    if (target === "reordered") expect(rest).not.toEqual([]);
  }
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
