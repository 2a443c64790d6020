import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { CompressionTypes } from "kafkajs";
import type { NewRecord } from "../../src/log/port.ts";
import { boundedPipeline } from "../../src/tools/move/connect/bounded-pipeline.ts";
import { brokerSuite } from "../support/brokers/broker.ts";
import { type Connect, connectSuite, runConnect } from "../support/brokers/connect.ts";
import { type Backing, brokerBacking, foreignClient } from "../support/brokers/foreign.ts";
import { pythonCreate } from "../support/events/python-events.ts";
import { type ExactRecord, headersByName, readExact } from "../support/events/records.ts";
import { createTopic, rangesOf } from "../support/brokers/topics.ts";

const TIMEOUT_MS = 120_000;
const PARTITIONS = 12;
const LARGE = 24;
const directory = join(import.meta.dir, "../../pipelines");

const settingsOf = (backing: Backing) => ({
  KAFKA_BROKERS: backing.env["KAFKA_BROKERS"]!,
  PIPELINE_PORT: "0",
  ARCHIVE_TOPIC: backing.topic,
  ARCHIVE_DIR: join(backing.dataDir, "archive"),
  RESTORE_TARGET: `${backing.topic}.restored`,
});

/** Archives what the topic holds now, and returns those records. */
async function archive(connect: Connect, backing: Backing): Promise<ExactRecord[]> {
  const records = await readExact(backing.log, backing.topic);
  const generated = join(backing.dataDir, "archive.yaml");
  await writeFile(
    generated,
    boundedPipeline(readFileSync(join(directory, "archive.yaml"), "utf8"), backing.topic, rangesOf(records)),
  );
  expect(await runConnect(connect, ["run", generated], settingsOf(backing))).toMatchObject({ ok: true });
  return records;
}

async function restore(connect: Connect, backing: Backing, settings: Record<string, string> = {}) {
  await createTopic(backing.log, `${backing.topic}.restored`, PARTITIONS);
  return runConnect(connect, ["run", join(directory, "restore.yaml")], { ...settingsOf(backing), ...settings });
}

async function archivedFiles(backing: Backing): Promise<string[]> {
  const root = join(settingsOf(backing).ARCHIVE_DIR, backing.topic);
  const files = await readdir(root, { recursive: true });
  return files
    .filter((name) => name.endsWith(".gz"))
    .toSorted()
    .map((name) => join(root, name));
}

interface Line {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp_ms: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: [string, string | null][];
}

const latin1 = (base64: string | null) => (base64 === null ? null : Buffer.from(base64, "base64").toString("latin1"));

/** The archive as anyone can read it without Connect. */
async function readArchive(backing: Backing): Promise<ExactRecord[]> {
  const records: ExactRecord[] = [];
  for (const file of await archivedFiles(backing)) {
    const lines = gunzipSync(await readFile(file))
      .toString()
      .split("\n");
    expect(lines.pop()).toBe("");
    for (const line of lines) {
      const { topic, key, value, headers, ...rest } = JSON.parse(line) as Line;
      expect(topic).toBe(backing.topic);
      records.push({
        ...rest,
        key: latin1(key),
        value: latin1(value),
        headers: headers.map(([name, one]) => [name, latin1(one)]),
      });
    }
  }
  return records;
}

const withoutOffset = (record: ExactRecord) => ({ ...record, offset: 0, headers: headersByName(record) });

await connectSuite("archive and restore", (connect) =>
  brokerSuite(`archive and restore by ${connect.kind}`, ({ brokers }) => {
    async function filled(more: readonly NewRecord[] = []): Promise<Backing> {
      const backing = await brokerBacking(brokers);
      const { log, topic } = backing;
      await createTopic(log, topic, PARTITIONS);
      const producer = log.producer();
      const timestamp_ms = Date.parse("2026-11-22T00:00:00Z");
      const odd = [
        { key: null, value: "no key", headers: [] },
        { key: "", value: "empty key", headers: [["e", ""]] },
        {
          key: "a tombstone",
          value: null,
          headers: [
            ["b", "1"],
            ["a", "2"],
          ],
        },
        { key: "an empty value", value: "", headers: [["", "a header without a name"]] },
        {
          key: Buffer.from([0, 0xff]),
          value: Buffer.from([0xff, 0xfe, 0, 0x0a]),
          headers: [["ünï", Buffer.from([0xff, 0, 0x80])]],
        },
        { key: " ", value: " \n", headers: [["kafka_replyTopic", '{"b": 2.0}']] },
        // These records fill several files, so that the order of files shows.
        ...Array.from({ length: LARGE }, (_, n) => ({ key: `large ${n}`, value: String(n).repeat(400_000), headers: [] })),
      ] as const;
      for (const [n, record] of odd.entries()) {
        await producer.append(topic, [{ ...record, partition: 5, timestamp_ms: timestamp_ms + n }]);
      }
      for (let n = 0; n < 12_000; n += 500) {
        const some = Array.from({ length: 500 }, (_, i) => ({
          partition: (n + i) % (PARTITIONS - 1),
          key: `ORD-${n + i}`,
          value: pythonCreate(`ORD-${n + i}`),
          timestamp_ms: timestamp_ms + n + i,
          headers: [["ce_type", "ORDER_CREATED"]] as const,
        }));
        await producer.append(topic, some);
      }
      if (more.length > 0) await producer.append(topic, more);
      await producer.close();
      return backing;
    }

    test(
      "restored, a topic is what it was: null, empty, binary and large records, compressed and transactional batches",
      async () => {
        await using backing = await filled();
        for (const [n, codec] of [
          CompressionTypes.GZIP,
          CompressionTypes.Snappy,
          CompressionTypes.LZ4,
          CompressionTypes.ZSTD,
        ].entries()) {
          await backing.produce([{ partition: n, key: `ORD-${n}`, value: "compressed ".repeat(100) }], codec);
        }
        const transactional = foreignClient(brokers).producer({
          transactionalId: backing.topic,
          maxInFlightRequests: 1,
          idempotent: true,
        });
        await transactional.connect();
        for (const commit of [false, true, false]) {
          const transaction = await transactional.transaction();
          await transaction.send({
            topic: backing.topic,
            messages: [{ partition: 6, key: "t", value: commit ? "committed" : "aborted" }],
          });
          await (commit ? transaction.commit() : transaction.abort());
        }
        await transactional.disconnect();

        const records = await archive(connect, backing);
        expect(records).toHaveLength(12_000 + 6 + LARGE + 4 + 1);
        expect(Bun.deepEquals(await readArchive(backing), records)).toBe(true);
        expect((await archivedFiles(backing)).filter((name) => name.includes("/0005/")).length).toBeGreaterThan(2);
        expect(await restore(connect, backing)).toMatchObject({ ok: true });
        const restored = await readExact(backing.log, `${backing.topic}.restored`);
        expect(restored).toHaveLength(records.length);
        for (const [i, record] of restored.entries()) expect(withoutOffset(record)).toEqual(withoutOffset(records[i]!));
      },
      TIMEOUT_MS,
    );

    test(
      "the archive keeps headers that the restore cannot write; it ends, and names the record",
      async () => {
        const headers = [
          ["twice", "1"],
          ["null", null],
          ["twice", "2"],
          ["!mark", "3"],
        ] as const;
        await using backing = await filled([{ partition: 11, key: "k", value: "v", timestamp_ms: Date.now(), headers }]);
        const records = await archive(connect, backing);
        const archived = await readArchive(backing);
        expect(archived.at(-1)!.headers).toEqual([...headers]);
        expect(Bun.deepEquals(archived, records)).toBe(true);
        const refused = await restore(connect, backing);
        expect(refused.ok).toBe(false);
        expect(refused.output).toContain(`${backing.topic}:11:0 has headers that cannot be written as they are`);
        const target = `${backing.topic}.last`;
        await createTopic(backing.log, target, PARTITIONS);
        expect(await restore(connect, backing, { HEADERS_INEXACT: "last", RESTORE_TARGET: target })).toMatchObject({ ok: true });
        const restored = await readExact(backing.log, target);
        expect(restored).toHaveLength(records.length);
        expect(headersByName(restored.at(-1)!)).toEqual([
          ["null", ""],
          ["twice", "2"],
        ]);
      },
      TIMEOUT_MS,
    );

    test(
      "a file cut short ends the restore",
      async () => {
        await using backing = await filled();
        await archive(connect, backing);
        const [, second] = await archivedFiles(backing);
        await truncate(second!, 1_000);
        const run = await restore(connect, backing);
        expect(run.ok).toBe(false);
        expect(run.output).toContain("The restore has ended");
      },
      TIMEOUT_MS,
    );

    test(
      "a target with too few partitions ends the restore",
      async () => {
        await using backing = await filled();
        await archive(connect, backing);
        const target = `${backing.topic}.small`;
        await createTopic(backing.log, target, PARTITIONS - 2);
        const run = await restore(connect, backing, { RESTORE_TARGET: target });
        expect(run.ok).toBe(false);
        expect(run.output).toContain("The restore has ended: invalid record partitioning choice");
      },
      TIMEOUT_MS,
    );
  }),
);
