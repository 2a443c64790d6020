import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import type { NewRecord } from "../../../src/log/port.ts";
import { noFaults } from "../../log/memory/memory-log.ts";
import { runArchive } from "../../../src/tools/archive/archive-command.ts";
import type { ExactRecord } from "../../support/events/records.ts";
import { type OperationsRig, operationsRig, spoiled, TOPIC } from "../rig.ts";

const PARTITIONS = 3;

/**
 * The n-th of records of all kinds: null, empty and binary ones, and headers that are doubled, out of order, null or
 * nameless.
 */
function nth(n: number): NewRecord {
  const kinds: Pick<NewRecord, "key" | "value" | "headers">[] = [
    {
      key: `ORD-${n}`,
      value: `{"n":${n}}`,
      headers: [
        ["z", "1"],
        ["a", "2"],
      ],
    },
    { key: null, value: "null key", headers: [] },
    {
      key: "",
      value: "",
      headers: [
        ["e", ""],
        ["n", null],
      ],
    },
    {
      key: "tombstone",
      value: null,
      headers: [
        ["d", "1"],
        ["d", null],
        ["d", "2"],
      ],
    },
    {
      key: Buffer.from([0, 0xff]),
      value: Buffer.from([0xff, 0xfe, 0, 10, 13]),
      headers: [
        ["", "no name"],
        ["!x", "x"],
        ["ünï", Buffer.from([0x80])],
      ],
    },
  ];
  return { ...kinds[n % kinds.length]!, partition: n % PARTITIONS, timestamp_ms: 1_795_000_000_000 - n };
}
const sha256 = (path: string) => new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
const some = (count: number) => Array.from({ length: count }, (_, n) => nth(n));

const archive = (rig: OperationsRig, args = "", more: Parameters<OperationsRig["run"]>[2] = {}) =>
  rig.run(runArchive, `--dir ${join(rig.dataDir, "archive")} ${args}`, more);
const restore = (rig: OperationsRig, args = "", more: Parameters<OperationsRig["run"]>[2] = {}) =>
  archive(rig, `--restore ${args}`, more);
const contents = (records: readonly ExactRecord[]) => records.map((record) => ({ ...record, offset: 0 }));

function filesOf(rig: OperationsRig): string[] {
  const root = join(rig.dataDir, "archive", TOPIC);
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => name.includes("."))
    .map((name) => join(root, name))
    .toSorted();
}

test("a topic goes to files and back exactly, while it is written; restored again, nothing is added", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(500));
  const source = await rig.read(TOPIC);
  expect(await archive(rig)).toMatchObject({
    code: 0,
    said: expect.stringContaining("All of 500 records of orders.events are in "),
  });
  await rig.append(...some(10));
  expect((await restore(rig)).code).toBe(0);
  // The records start at offset 0 and have no gaps, so the offsets are the same too.
  expect(await rig.read("orders.restored")).toEqual(source);
  expect(await restore(rig)).toMatchObject({
    code: 0,
    said: expect.stringContaining("500 records are in orders.restored already."),
  });
  expect(await rig.read("orders.restored")).toHaveLength(500);
});

test("a finished archive, asked for again: nothing less than the topic as it is then is called all of it", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(30));
  await archive(rig);
  const manifest = readFileSync(join(rig.dataDir, "archive", `${TOPIC}.manifest.json`), "utf8");
  const { finishedAt } = JSON.parse(manifest) as { finishedAt: string };
  expect(await archive(rig)).toEqual({ code: 0, said: expect.stringContaining("All of 30 records of orders.events are in ") });
  await rig.append(...some(2));
  const again = await archive(rig);
  expect(again.code).toBe(1);
  expect(again.said).toContain(`was finished at ${finishedAt} with 30 records of orders.events, and still has them;`);
  expect(again.said).toContain("the topic has 2 records more by now, not in this archive: give another --dir.");
  expect(again.said).not.toMatch(/All of|To go on/);
  expect(readFileSync(join(rig.dataDir, "archive", `${TOPIC}.manifest.json`), "utf8")).toBe(manifest);
  const [file = ""] = filesOf(rig);
  writeFileSync(file, gzipSync(gunzipSync(readFileSync(file)), { level: 1 }));
  expect((await archive(rig)).code).toBe(1);
  expect((await restore(rig)).code).toBe(0);
  expect(await rig.run(runArchive, `--dir ${join(rig.dataDir, "next")}`)).toEqual({
    code: 0,
    said: expect.stringContaining("All of 32 records of orders.events are in "),
  });
});

test("deleted records before it and markers in it are no records; empty partitions are archived too", async () => {
  await using rig = await operationsRig(PARTITIONS);
  const fenced = await rig.log.fencedProducer("someone");
  for (let n = 0; n < 9; n += 3) await fenced.append(TOPIC, [nth(n), { ...nth(n + 1), partition: 0 }]);
  await rig.log.deleteRecords(TOPIC, 0, 4);
  const source = await rig.read(TOPIC);
  expect(source).toHaveLength(3);
  expect((await archive(rig)).code).toBe(0);
  expect((await restore(rig)).code).toBe(0);
  expect(contents(await rig.read("orders.restored"))).toEqual(contents(source));
  expect(await rig.log.partitionCount("orders.restored")).toBe(PARTITIONS);
});

test("the files are those of pipelines/archive.yaml", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(10));
  await archive(rig);
  const names = filesOf(rig).map((path) => path.slice(rig.dataDir.length));
  expect(names).toEqual([
    "/archive/orders.events/0000/00000000000000000000-00000000000000000003.jsonl.gz",
    "/archive/orders.events/0001/00000000000000000000-00000000000000000002.jsonl.gz",
    "/archive/orders.events/0002/00000000000000000000-00000000000000000002.jsonl.gz",
  ]);
  expect(
    gunzipSync(readFileSync(filesOf(rig)[0]!))
      .toString()
      .split("\n")[1],
  ).toBe(
    '{"headers":[["d","MQ=="],["d",null],["d","Mg=="]],"key":"dG9tYnN0b25l","offset":1,"partition":0,"timestamp_ms":1794999999997,"topic":"orders.events","value":null}',
  );
});

test("interrupted anywhere, both go on; a file that was cut short is written again", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(3_000));
  const source = await rig.read(TOPIC);
  let interruptions = 0;
  const untilDone = async (run: (signal: AbortSignal) => Promise<{ code: number }>) => {
    for (let wait_ms = 5; ; wait_ms += 15) {
      const { code } = await run(AbortSignal.timeout(wait_ms));
      if (code === 0) return;
      expect(code).toBe(130);
      interruptions++;
    }
  };
  await untilDone((signal) => archive(rig, "--rate 20000", { signal }));
  const [first = "", second = ""] = filesOf(rig);
  rmSync(join(rig.dataDir, "archive", `${TOPIC}.manifest.json`));
  truncateSync(first, 100);
  renameSync(second, second.replace(/[0-9]{20}-/, `${"0".repeat(19)}5-`));
  expect((await archive(rig)).code).toBe(0);
  expect(filesOf(rig).filter((path) => path.includes("/0001/"))).toHaveLength(1);
  await untilDone((signal) => restore(rig, "--rate 20000", { signal }));
  expect(interruptions).toBeGreaterThan(2);
  expect(await rig.read("orders.restored")).toEqual(source);
});

test("answers that are refused or lost hold up a restore, and are said where it is not known what became of them", async () => {
  let calls = 0;
  let fault: "reject" | "lose-answer" = "reject";
  await using rig = await operationsRig(PARTITIONS, {
    ...noFaults,
    onAppend: (connection) => (connection.startsWith("operation") && calls++ % 3 === 1 ? fault : "ok"),
  });
  await rig.append(...some(3_000));
  await archive(rig);
  expect((await restore(rig, "--rate 5000")).code).toBe(0);
  expect(await rig.read("orders.restored")).toEqual(await rig.read(TOPIC));
  fault = "lose-answer";
  calls = 0;
  const lost = await restore(rig, "--rate 5000 --target again");
  expect(lost).toEqual({ code: 1, said: expect.stringContaining("To go on: bun run archive --dir") });
  fault = "reject";
  expect((await restore(rig, "--target again")).code).toBe(0);
  expect(await rig.read("again")).toEqual(await rig.read(TOPIC));
});

test("an archive that is not what its manifest says is not restored: a file missing, altered, added, cut short; no manifest", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(30));
  await archive(rig);
  const archived = join(rig.dataDir, "archive");
  await cp(archived, join(rig.dataDir, "good"), { recursive: true });
  const altered = (path: string, alter: (text: string) => string) =>
    writeFileSync(path, gzipSync(alter(gunzipSync(readFileSync(path)).toString())));
  /** Alters a file and puts its new checksum in the manifest. */
  const forged = (path: string, alter: (text: string) => string) => {
    const before = sha256(path);
    altered(path, alter);
    const manifest = join(archived, `${TOPIC}.manifest.json`);
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace(before, sha256(path)));
  };
  const damaged =
    "0000/00000000000000000000-00000000000000000009.jsonl.gz is damaged or was changed, as its checksum is another one. Put ";
  const damages: [damage: (file: string) => void, why: string][] = [
    [(file) => rmSync(file), "is missing"],
    [(file) => truncateSync(file, 50), damaged],
    [(file) => (rmSync(file), mkdirSync(file)), "it is no file"],
    [(file) => (rmSync(file), void Bun.spawnSync(["mkfifo", file])), "it is no file"],
    [(file) => altered(file, (text) => text.replace('"timestamp_ms":1', '"timestamp_ms":2')), damaged],
    [(file) => altered(file, (text) => text.replace('"offset":3', '"offset":0')), damaged],
    [(file) => forged(file, (text) => text.split("\n").slice(1).join("\n")), "its records are not those of its name"],
    [(file) => forged(file, (text) => text.split("\n").toSpliced(1, 1).join("\n")), "has 9 records, not 10"],
    [(file) => forged(file, (text) => text.replace('"offset":3', '"offset":0')), "offset 0 is misplaced"],
    [(file) => forged(file, (text) => text.replaceAll(TOPIC, "other")), "it is no record of orders.events"],
    [(file) => writeFileSync(file.replace(/-[0-9]{20}/, `-${"9".repeat(15).padStart(20, "0")}`), ""), "is not in it"],
    [() => rmSync(join(archived, `${TOPIC}.manifest.json`)), "the archive was not finished"],
  ];
  for (const [damage, why] of damages) {
    rmSync(archived, { recursive: true });
    await cp(join(rig.dataDir, "good"), archived, { recursive: true });
    damage(filesOf(rig)[0]!);
    const refused = await restore(rig);
    expect(refused).toEqual({ code: 2, said: expect.stringContaining(why) });
    // The same command would only fail again.
    expect(refused.said).not.toContain("To go on");
    expect(await rig.log.partitionCount("orders.restored")).toBe(0);
  }
});

test("a restore into a topic that holds anything else is refused, and adds nothing", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(30));
  await archive(rig);
  expect((await restore(rig, `--target ${TOPIC}`)).code).toBe(2);
  expect(await restore(rig, `--target ${TOPIC}.dlq`)).toEqual({ code: 2, said: expect.stringContaining("with --yes") });
  await rig.append(nth(0));
  const refused = await restore(rig, `--target ${TOPIC} --yes`);
  expect(refused).toEqual({
    code: 2,
    said: expect.stringContaining("orders.events holds at 0:10 another record than what the archive has"),
  });
  expect(refused.said).not.toContain("To go on");
  expect(await rig.read(TOPIC)).toHaveLength(31);
});

test("a restore that loses, alters or doubles is found out", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(30));
  await archive(rig);
  const spoils: [spoil: (records: readonly NewRecord[]) => readonly NewRecord[], said: string][] = [
    [(records) => records.slice(0, -1), "missing: the archive 0:9"],
    [
      (records) => records.map((record) => ({ ...record, headers: record.headers.toReversed() })),
      "changed: the archive 0:0 at t1 0:0: headers differ",
    ],
    [(records) => [...records, records.at(-1)!], "unexpected: the archive 0:10 at t2 0:10"],
  ];
  for (const [i, [spoil, said]] of spoils.entries()) {
    const ran = await restore(rig, `--target t${i}`, { log: spoiled(rig.broker.connect("operation"), spoil) });
    expect(ran).toEqual({ code: 1, said: expect.stringContaining(said) });
  }
});

test("an archive whose files are not the log's records is found out and gets no manifest", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(30));
  const manifest = join(rig.dataDir, "archive", `${TOPIC}.manifest.json`);
  const spoils: [alter: (text: string) => string, said: string][] = [
    [(text) => text.replace('"value":"', '"value":"AAAA'), "changed: orders.events 0:0"],
    [(text) => text.split("\n").toSpliced(3, 1).join("\n"), "missing: orders.events 0:3"],
  ];
  for (const [alter, said] of spoils) {
    await archive(rig);
    rmSync(manifest);
    const [file = ""] = filesOf(rig);
    writeFileSync(file, gzipSync(alter(gunzipSync(readFileSync(file)).toString())));
    expect(await archive(rig)).toEqual({ code: 1, said: expect.stringContaining(said) });
    expect(existsSync(manifest)).toBe(false);
    rmSync(join(rig.dataDir, "archive"), { recursive: true });
  }
});

test("without --dir, into another archive's directory, of no topic: refused", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(3));
  expect((await rig.run(runArchive, "")).code).toBe(2);
  expect((await archive(rig, "--target x")).code).toBe(2);
  expect(await archive(rig, "--topic nowhere")).toEqual({ code: 2, said: "There is no topic nowhere in the log (in memory).\n" });
  expect(await restore(rig, "--topic nowhere")).toEqual({
    code: 2,
    said: expect.stringMatching(/nowhere\.manifest\.json is missing: .*\(see --topic\)\.\n$/),
  });
  expect((await archive(rig)).code).toBe(0);
  await using other = await operationsRig(PARTITIONS);
  const ofAnother = await archive(rig, "", { log: other.log });
  expect(ofAnother).toEqual({ code: 2, said: expect.stringMatching(/is of another log or program: take another --dir\.\n$/) });
  rmSync(join(rig.dataDir, "archive", `${TOPIC}.plan.json`));
  expect((await archive(rig)).said).toContain("has files of another archive");
});
