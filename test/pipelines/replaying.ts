import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NewRecord } from "../../src/log/port.ts";
import { boundedPipeline } from "../../src/tools/move/connect/bounded-pipeline.ts";
import { type Connect, runConnect } from "../support/brokers/connect.ts";
import type { Backing } from "../support/brokers/foreign.ts";
import { pythonCreate, pythonUpdate } from "../support/events/python-events.ts";
import { type ExactRecord, headersByName, readExact } from "../support/events/records.ts";
import { createTopic, rangesOf } from "../support/brokers/topics.ts";

export const PARTITIONS = 12;
export const file = join(import.meta.dir, "../../pipelines/replay.yaml");

/** Records of 200 orders, one second apart: ours and foreign ones, with poison among them. */
export function someRecords(count: number, firstSecond: number): NewRecord[] {
  return Array.from({ length: count }, (_, n) => {
    const order = `ORD-${n % 200}`;
    const create = n % 3 === 0;
    const value = n % 50 === 7 ? `poison ${n}` : create ? pythonCreate(order) : pythonUpdate(order, "shipped");
    return {
      partition: (n % 200) % PARTITIONS,
      key: order,
      value,
      timestamp_ms: (firstSecond + n) * 1_000,
      headers:
        n % 2 === 0
          ? [
              ["ce_type", create ? "ORDER_CREATED" : "ORDER_STATUS_UPDATED"],
              ["n", String(n)],
            ]
          : [],
    };
  });
}

export async function append(backing: Backing, topic: string, records: readonly NewRecord[]) {
  const producer = backing.log.producer();
  for (let at = 0; at < records.length; at += 500) await producer.append(topic, records.slice(at, at + 500));
  await producer.close();
}

/**
 * The parts of a record that are compared: all but its own offset and the order of headers; `offset` is the source's.
 */
export const content = (record: ExactRecord, offset: string | number | null | undefined) => ({
  partition: record.partition,
  from: Number(offset),
  timestamp_ms: record.timestamp_ms,
  key: record.key,
  value: record.value,
  headers: headersByName(record, "x-replay"),
});

/**
 * Replays up to the current end of each partition, in the form that ends by itself, and returns what the target holds
 * then.
 */
export async function replay(connect: Connect, backing: Backing, settings: Record<string, string>) {
  const target = `${backing.topic}.replay`;
  await createTopic(backing.log, target, PARTITIONS);
  const before = await readExact(backing.log, backing.topic);
  const generated = join(backing.dataDir, "replay.yaml");
  await writeFile(generated, boundedPipeline(readFileSync(file, "utf8"), backing.topic, rangesOf(before)));
  const started_ms = performance.now();
  const run = await runConnect(connect, ["run", generated], {
    KAFKA_BROKERS: backing.env["KAFKA_BROKERS"]!,
    REPLAY_ID: "night-1",
    REPLAY_TOPIC: backing.topic,
    REPLAY_TARGET: target,
    PIPELINE_PORT: "0",
    ...settings,
  });
  const run_ms = performance.now() - started_ms;
  return { run, run_ms, before, after: await readExact(backing.log, target) };
}
