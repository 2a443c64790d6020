import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { systemClock } from "../../src/system/clock.ts";
import { noFaults } from "../log/memory/memory-log.ts";
import type { Log, NewRecord, TopicDescription } from "../../src/log/port.ts";
import { runArchive } from "../../src/tools/archive/archive-command.ts";
import { runRedrive } from "../../src/tools/redrive/redrive-command.ts";
import { runReplay } from "../../src/tools/replay/replay-command.ts";
import { contentOf, type OperationsRig, operationsRig, TOPIC } from "./rig.ts";

/** Topics as other people's programs and brokers make them. */
const SOURCE = "foreign";
/** Milliseconds, seconds, nanoseconds, before all dates, the ends of 64 bits, and what a double cannot hold. */
const STAMPS = [
  1_795_613_603_669,
  1_795_613_603,
  1_795_613_603_669_123_457n,
  -8_640_000_000_000_001,
  9_223_372_036_854_775_807n,
  -9_223_372_036_854_775_808n,
  9_007_199_254_740_993n,
  0,
  -1,
];

const record = (n: number, more: Partial<NewRecord> = {}): NewRecord => ({
  partition: 0,
  key: `ORD-${n}`,
  value: `{"n":${n}}`,
  headers: [],
  timestamp_ms: 1_795_000_000_000 + n,
  ...more,
});
const stamped = () => STAMPS.map((timestamp_ms, n) => record(n, { timestamp_ms }));

async function rigWith(records: readonly NewRecord[], partitions = 1): Promise<OperationsRig> {
  const rig = await operationsRig(1);
  await rig.log.createTopic(SOURCE, partitions, { anyTimestamp: true, record_bytes_max: 8 * 1024 * 1024 });
  if (records.length > 0) await rig.log.producer().append(SOURCE, records);
  return rig;
}

/** The log, with a topic set up as described. */
function described(log: Log, topic: string, settings: Record<string, string>): Log {
  const describeTopic = async (name: string): Promise<TopicDescription | undefined> => {
    const found = await log.describe(name);
    return found && name === topic ? { ...found, settings: { ...found.settings, ...settings } } : found;
  };
  return replaced(log, { describe: describeTopic });
}

function replaced(log: Log, methods: Partial<Log>): Log {
  return new Proxy(log, {
    get: (target, name) => {
      if (name in methods) return methods[name as keyof Log];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

const replay = (rig: OperationsRig, args = "", more: Parameters<OperationsRig["run"]>[2] = {}) =>
  rig.run(runReplay, `--topic ${SOURCE} ${args}`, more);
const archive = (rig: OperationsRig, args = "", more: Parameters<OperationsRig["run"]>[2] = {}) =>
  rig.run(runArchive, `--topic ${SOURCE} --dir ${join(rig.dataDir, "archive")} ${args}`, more);
/** A clock in which an outage is soon over. */
const fast = { ...systemClock, now_ms: () => systemClock.now_ms() * 300 };

describe("timestamps of any 64 bits", () => {
  test("are replayed as they are, and shown", async () => {
    await using rig = await rigWith(stamped());
    const { said } = await replay(rig, "--dry-run");
    expect(said).toContain('0:0  2026-11-25T13:33:23.669Z  "ORD-0"');
    expect(said).toContain('0:2  1795613603669123457  "ORD-2"');
    expect(said).toContain('0:3  -8640000000000001  "ORD-3"');
    expect((await replay(rig, "--id r")).code).toBe(0);
    expect((await rig.read("orders.replay")).map((one) => contentOf(one))).toEqual(
      (await rig.read(SOURCE)).map((one) => contentOf(one)),
    );
  });

  test("are compared with a window as what they are", async () => {
    await using rig = await rigWith(stamped());
    expect((await replay(rig, "--id r --from 2026-11-25T13:33:24Z --target late")).code).toBe(0);
    expect((await rig.read("late")).map(({ timestamp_ms }) => timestamp_ms)).toEqual([
      1_795_613_603_669_123_457n,
      9_223_372_036_854_775_807n,
      9_007_199_254_740_993n,
    ]);
    expect((await replay(rig, "--id s --to 1969-01-01T00:00:00Z --target early")).code).toBe(0);
    expect((await rig.read("early")).map(({ timestamp_ms }) => timestamp_ms)).toEqual([
      -8_640_000_000_000_001,
      -9_223_372_036_854_775_808n,
    ]);
  });

  test("are archived and restored exactly", async () => {
    await using rig = await rigWith(stamped());
    expect(await archive(rig)).toMatchObject({ code: 0 });
    expect(await archive(rig, "--restore")).toMatchObject({ code: 0 });
    expect(await rig.read("orders.restored")).toEqual(await rig.read(SOURCE));
  });

  test("stay with a letter that is parked", async () => {
    await using rig = await operationsRig(1);
    await rig.log.createTopic(`${TOPIC}.dlq`, 1, { anyTimestamp: true });
    const headers = [
      ["x-dead-letter-topic", TOPIC],
      ["x-dead-letter-partition", "0"],
      ["x-dead-letter-offset", "0"],
      ["x-redrive-count", "3"],
    ] as const;
    await rig.log.producer().append(`${TOPIC}.dlq`, [record(0, { headers, timestamp_ms: STAMPS[2]! })]);
    expect(await rig.run(runRedrive, "--yes")).toMatchObject({ code: 0 });
    expect((await rig.read(`${TOPIC}.parked`)).map(({ timestamp_ms }) => timestamp_ms)).toEqual([STAMPS[2]!]);
  });
});

describe("batches that cannot be decoded", () => {
  async function withUndecodable(): Promise<OperationsRig> {
    const rig = await rigWith([record(0)]);
    rig.broker.topics.landUndecodable(SOURCE, 0, 3, "Its checksum is wrong.");
    await rig.log.producer().append(SOURCE, [record(1)]);
    return rig;
  }

  test("are left out of a replay and named; it is not whole then, unless that is wanted", async () => {
    await using rig = await withUndecodable();
    const { code, said } = await replay(rig, "--id r");
    expect([code, said]).toEqual([1, expect.stringContaining("  0:1–3: Its checksum is wrong.\n")]);
    expect((await rig.read("orders.replay")).map(({ key }) => key)).toEqual(["ORD-0", "ORD-1"]);
    expect((await replay(rig, "--id s --target t --skip-undecodable")).code).toBe(0);
  });

  test("are noted in an archive's manifest, and what else there is is restored", async () => {
    await using rig = await withUndecodable();
    expect(await archive(rig)).toEqual({ code: 1, said: expect.stringContaining("  0:1–3: Its checksum is wrong.\n") });
    expect(await archive(rig, "--skip-undecodable")).toMatchObject({ code: 0 });
    const manifest = JSON.parse(readFileSync(join(rig.dataDir, "archive", `${SOURCE}.manifest.json`), "utf8")) as object;
    expect(manifest).toMatchObject({
      undecodable: { batches: 1, kept: [{ partition: 0, offset: 1, lastOffset: 3, reason: "Its checksum is wrong." }] },
    });
    expect(await archive(rig, "--restore")).toEqual({
      code: 0,
      said: expect.stringContaining("  0:1–3: Its checksum is wrong.\n"),
    });
    expect((await rig.read("orders.restored")).map(({ key }) => key)).toEqual(["ORD-0", "ORD-1"]);
  });

  test("and letters that do not have the whole record, are left by a redrive", async () => {
    await using rig = await operationsRig(1);
    await rig.log.createTopic(`${TOPIC}.dlq`, 1);
    const headers = (offset: number, ...more: [string, string][]) => [
      ["x-dead-letter-topic", TOPIC] as const,
      ["x-dead-letter-partition", "0"] as const,
      ["x-dead-letter-offset", String(offset)] as const,
      ...more,
    ];
    rig.broker.topics.landUndecodable(`${TOPIC}.dlq`, 0, 1, "Its checksum is wrong.");
    await rig.log
      .producer()
      .append(`${TOPIC}.dlq`, [
        record(1, { headers: headers(1, ["x-dead-letter-cut", "value=3145728"]) }),
        record(2, { headers: headers(2, ["x-dead-letter-last-offset", "4"]), key: null, value: null }),
        record(3, { headers: headers(5) }),
      ]);
    // Who names one wants that one, and it is not done.
    const named = await rig.run(runRedrive, "--yes --partition 0 --offset 1");
    expect([named.code, named.said]).toEqual([2, expect.stringContaining("1 letter more match")]);
    const { code, said } = await rig.run(runRedrive, "--yes");
    expect([code, said]).toEqual([0, expect.stringContaining("2 letters more match, and do not have the whole record")]);
    expect(said).toContain("1 batch of orders.events.dlq cannot be decoded");
    expect((await rig.read(TOPIC)).map(({ key }) => key)).toEqual(["ORD-3"]);
  });
});

describe("what a target takes", () => {
  test("a target that is made takes records as large and as late as the source has", async () => {
    const ahead = { timestamp_ms: Date.now() + 7_200_000, value: "x".repeat(4 * 1024 * 1024) };
    await using rig = await rigWith([record(0, ahead), record(1)]);
    const { code, said } = await replay(rig, "--id r");
    expect([code, said]).toEqual([
      0,
      expect.stringContaining("orders.replay was made: 1 partitions, 3 replicas, max.message.bytes="),
    ]);
    expect(await archive(rig)).toMatchObject({ code: 0 });
    expect(await archive(rig, "--restore")).toMatchObject({ code: 0 });
  });

  test.each([
    [{ "message.timestamp.type": "LogAppendTime" }, "message.timestamp.type=LogAppendTime puts times of its own in their place"],
    [{ "cleanup.policy": "compact,delete" }, "cleanup.policy=compact,delete deletes all but the last record of a key"],
    [{ "max.message.bytes": "500" }, "the record at 0:1 takes up to 607 bytes"],
    [{ "retention.ms": "604800000" }, "one record is of 2020-01-01T00:00:00.000Z and retention.ms=604800000 deletes it at once"],
    [{ "message.timestamp.before.max.ms": "3600000" }, "too old for message.timestamp.before.max.ms=3600000"],
    [{ "message.timestamp.after.max.ms": "3600000" }, "too late for message.timestamp.after.max.ms=3600000"],
  ])("a target with %j is refused before anything is moved", async (settings, why) => {
    const old = record(0, { timestamp_ms: Date.parse("2020-01-01T00:00:00Z") });
    await using rig = await rigWith([old, record(1, { timestamp_ms: Date.now() + 7_200_000, value: "1234567890" })]);
    await rig.log.createTopic("made", 1);
    const refused = {
      code: 2,
      said: expect.stringMatching(new RegExp(`^made would not take or keep what is to be written: .*${why}`, "m")),
    };
    expect(await archive(rig)).toMatchObject({ code: 0 });
    const log = described(rig.log, "made", settings);
    expect(await replay(rig, "--target made", { log })).toEqual(refused);
    expect(await archive(rig, "--restore --target made", { log })).toEqual(refused);
    expect(await rig.read("made")).toEqual([]);
  });

  test("a target that keeps records for a time only is warned of", async () => {
    await using rig = await rigWith([record(0, { timestamp_ms: Date.now() })]);
    await rig.log.createTopic("made", 1);
    const log = described(rig.log, "made", { "retention.ms": "604800000" });
    expect(await replay(rig, "--target made", { log })).toEqual({
      code: 0,
      said: expect.stringContaining("made does not keep its records for ever (retention.ms=604800000)"),
    });
  });

  test("appends are as large as the target takes, and halved where it takes less than it says", async () => {
    await using rig = await rigWith(Array.from({ length: 400 }, (_, n) => record(n)));
    expect(await archive(rig)).toMatchObject({ code: 0 });
    await rig.log.createTopic("small", 1, { record_bytes_max: 1_200 });
    for (const [target, log] of [
      ["small", rig.broker.connect("operation")],
      ["smaller", described(rig.broker.connect("operation"), "smaller", { "max.message.bytes": "1048576" })],
    ] as const) {
      await rig.log.createTopic(target, 1, { record_bytes_max: 1_200 });
      expect(await replay(rig, `--target ${target} --id ${target}`, { log })).toMatchObject({ code: 0 });
      const restored = described(log, `${target}.restored`, target === "small" ? {} : { "max.message.bytes": "1048576" });
      await rig.log.createTopic(`${target}.restored`, 1, { record_bytes_max: 1_200 });
      expect(await archive(rig, `--restore --target ${target}.restored`, { log: restored })).toMatchObject({ code: 0 });
      expect(await rig.read(`${target}.restored`)).toEqual(await rig.read(SOURCE));
    }
  });

  test("a record that is itself too large is named by its place, and ends the run at once", async () => {
    await using rig = await rigWith([record(0), record(1, { value: "x".repeat(2_000) }), record(2)]);
    await rig.log.createTopic("small", 1, { record_bytes_max: 1_200 });
    const log = described(rig.broker.connect("operation"), "small", { "max.message.bytes": "1048576" });
    const { code, said } = await replay(rig, "--target small --id r", { log });
    expect([code, said]).toEqual([1, expect.stringContaining("The record at 0:1 takes up to")]);
    expect(said).toContain("raise its max.message.bytes");
    expect(said).not.toContain("It is tried again");
    rig.broker.topics.setRecordBytesMax("small", 10_000);
    expect((await rig.run(runReplay, "--id r")).code).toBe(0);
    expect((await rig.read("small")).map(({ key }) => key)).toEqual(["ORD-0", "ORD-1", "ORD-2"]);
  });

  test("a refusal is told with its cause, and not tried again", async () => {
    await using rig = await rigWith([record(0, { timestamp_ms: Date.now() + 7_200_000 })]);
    await rig.log.createTopic("made", 1);
    const { code, said } = await replay(rig, "--target made");
    expect([code, said]).toEqual([1, expect.stringContaining("takes no timestamp that is an hour ahead")]);
    expect(said).not.toContain("It is tried again");
  });
});

describe("a log that changes under an operation", () => {
  const many = (count: number) => Array.from({ length: count }, (_, n) => record(n));
  /** Calls `once` before the n-th fetch of the topic. */
  const beforeFetch = (log: Log, topic: string, n: number, once: () => void | Promise<void>): Log => {
    let fetches = 0;
    const reader = (name: string) => {
      const found = log.reader(name);
      if (name !== topic) return found;
      return {
        get isThrottled() {
          return found.isThrottled;
        },
        fetch: async (...args: Parameters<typeof found.fetch>) => {
          if (++fetches === n) await once();
          return found.fetch(args[0], { ...args[1], partition_bytes_max: 500 });
        },
        close: () => found.close(),
      };
    };
    return replaced(log, { reader });
  };

  test("a new leader that has the same is no difference", async () => {
    await using rig = await rigWith(many(200));
    const log = beforeFetch(rig.broker.connect("operation"), SOURCE, 5, () => rig.broker.topics.elect(SOURCE, 0));
    expect((await replay(rig, "", { log })).code).toBe(0);
  });

  test.each(["replay", "archive"] as const)("a leader that lost records ends a %s, which says what to do", async (what) => {
    await using rig = await rigWith(many(200));
    const log = beforeFetch(rig.broker.connect("operation"), SOURCE, 5, async () => {
      rig.broker.topics.elect(SOURCE, 0, 3);
      await rig.log.producer().append(SOURCE, many(200));
    });
    const { code, said } = await (what === "replay" ? replay(rig, "", { log }) : archive(rig, "", { log }));
    expect([code, said]).toEqual([1, expect.stringContaining("changed while it was read: it has another record at offset")]);
  });

  test("a topic made anew, or one that lost its tail, is not gone on with by a later run", async () => {
    for (const change of ["anew", "tail"] as const) {
      let isBroken = true;
      await using rig = await operationsRig(1, {
        ...noFaults,
        onAppend: (connection, topic) => (connection.startsWith("operation") && isBroken && topic === "t" ? "reject" : "ok"),
      });
      await rig.log.createTopic(SOURCE, 1);
      await rig.log.producer().append(SOURCE, many(20));
      expect((await replay(rig, "--id r --target t", { clock: fast })).code).toBe(1);
      isBroken = false;
      if (change === "tail") rig.broker.topics.elect(SOURCE, 0, 10);
      else {
        rig.broker.topics.deleteTopic(SOURCE);
        await rig.log.createTopic(SOURCE, 1);
        await rig.log.producer().append(SOURCE, many(20));
      }
      const { code, said } = await rig.run(runReplay, "--id r");
      const why = change === "tail" ? "ends at offset 10 and had records up to 19" : "was deleted and made anew";
      expect([code, said]).toEqual([1, expect.stringContaining(why)]);
      expect(said).toContain("To begin again: the command without --id");
      expect(await rig.read("t")).toEqual([]);
    }
  });

  test("a target made anew between two runs, or while it is compared, is found out", async () => {
    await using rig = await rigWith(many(20));
    expect((await replay(rig, "--id r --target t")).code).toBe(0);
    rig.broker.topics.deleteTopic("t");
    await rig.log.createTopic("t", 1);
    expect(await rig.run(runReplay, "--id r")).toEqual({
      code: 1,
      said: expect.stringContaining("The topic t was deleted and made anew"),
    });
  });

  test("an archive that was begun is not gone on with in a topic made anew", async () => {
    await using rig = await rigWith(many(20));
    expect((await archive(rig)).code).toBe(0);
    rig.broker.topics.deleteTopic(SOURCE);
    await rig.log.createTopic(SOURCE, 1);
    await rig.log.producer().append(SOURCE, many(20));
    const { code, said } = await archive(rig);
    expect([code, said]).toEqual([1, expect.stringContaining("was deleted and made anew")]);
    expect(said).toContain("To begin again: the command with another --dir");
  });

  test("a partition without a leader is named, in a bounded time", async () => {
    let leader: "ok" | "none" = "none";
    await using rig = await operationsRig(1, {
      ...noFaults,
      leader: (topic, partition) => (topic === SOURCE && partition === 2 ? leader : "ok"),
    });
    await rig.log.createTopic(SOURCE, 3);
    const { code, said } = await replay(rig, "", { clock: fast });
    expect([code, said]).toEqual([2, expect.stringContaining("partition 2: The partition foreign-2 has no leader now.")]);
    leader = "ok";
    await rig.log.producer().append(SOURCE, [record(0), record(1, { partition: 2 })]);
    const log = beforeFetch(rig.broker.connect("operation"), SOURCE, 1, () => void (leader = "none"));
    const during = await replay(rig, "--id during", { log, clock: fast });
    expect([during.code, during.said]).toEqual([
      2,
      expect.stringContaining("at 2:0 (partition:offset). The partition foreign-2 has no leader"),
    ]);
  });

  test("a target that takes its time is no standstill of the source", async () => {
    await using rig = await rigWith(many(40));
    const log = beforeFetch(rig.broker.connect("operation"), SOURCE, 0, () => undefined);
    const fencedProducer: Log["fencedProducer"] = async (id) => {
      const producer = await log.fencedProducer(id);
      const append: typeof producer.append = async (...args) => {
        // More than a minute, by the clock of the operation.
        await Bun.sleep(250);
        return producer.append(...args);
      };
      return { append, close: () => producer.close() };
    };
    const { code, said } = await replay(rig, "", { log: replaced(log, { fencedProducer }), clock: fast });
    expect([code, said.includes("It is tried again")]).toEqual([0, false]);
  });
});

describe("archives that were not made here", () => {
  test("a small file that decompresses to very much is refused with a sentence, and never in memory as a whole", async () => {
    await using rig = await rigWith([record(0)]);
    expect((await archive(rig)).code).toBe(0);
    const file = join(rig.dataDir, "archive", SOURCE, "0000", `${"0".repeat(20)}-${"0".repeat(20)}.jsonl.gz`);
    const megabyte = gzipSync("x".repeat(1024 * 1024));
    const sha256 = () => new Bun.CryptoHasher("sha256").update(readFileSync(file)).digest("hex");
    const manifest = join(rig.dataDir, "archive", `${SOURCE}.manifest.json`);
    const original = sha256();
    writeFileSync(file, Buffer.concat(Array.from({ length: 2_000 }, () => megabyte)));
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace(original, sha256()));
    const before = process.memoryUsage().rss;
    expect(await archive(rig, "--restore")).toEqual({
      code: 2,
      said: expect.stringMatching(/cannot be used: a line has more than 134217728 bytes/),
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(500 * 1024 * 1024);
  });

  test("a manifest of another shape is refused", async () => {
    await using rig = await rigWith([record(0)]);
    mkdirSync(join(rig.dataDir, "archive"));
    for (const manifest of ["null", "[]", `{"version":1,"topic":"${SOURCE}","partitions":1,"files":[]}`]) {
      writeFileSync(join(rig.dataDir, "archive", `${SOURCE}.manifest.json`), manifest);
      expect(await archive(rig, "--restore")).toEqual({ code: 2, said: expect.stringContaining("is no manifest of foreign") });
    }
  });

  test("files are their owner's alone, also where another program wrote them", async () => {
    await using rig = await rigWith([record(0)]);
    expect((await archive(rig)).code).toBe(0);
    const directory = join(rig.dataDir, "archive", SOURCE);
    const file = join(directory, "0000", `${"0".repeat(20)}-${"0".repeat(20)}.jsonl.gz`);
    const modes = () => [file, join(directory, "0000"), directory].map((path) => statSync(path).mode & 0o777);
    expect(modes()).toEqual([0o600, 0o700, 0o700]);
  });
});
