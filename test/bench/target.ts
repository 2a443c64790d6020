import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { systemClock } from "../../src/system/clock.ts";
import { KafkaLog } from "../../src/log/kafka/kafka-log.ts";
import type { Log } from "../../src/log/port.ts";
import { openSqliteLog } from "../../src/log/sqlite/sqlite-log.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";
import { eventCount, fillTopic, type Load, recordCount } from "./load.ts";

/**
 * A topic of some log, with the directory and the settings a program needs to work on it. Disposing of it removes what
 * was made for it.
 */
export interface BenchTopic extends AsyncDisposable {
  readonly log: Log;
  readonly topic: string;
  /** For the embedded log, the directory that holds the log itself; for a broker, it holds only state. */
  readonly dataDir: string;
  /** The settings of the program, with a group of its own at each call. */
  settings(): Record<string, string>;
}

/** A log that is measured. */
export interface Target {
  readonly name: "embedded" | "kafka";
  /** The addresses of the brokers; undefined if no peer can work on the log. */
  readonly brokers: string | undefined;
  emptyTopic(what: string): Promise<BenchTopic>;
  /** On a broker the topic is kept after the run, and is used again if it is already full. */
  fullTopic(what: string, load: Load): Promise<BenchTopic>;
}

const quiet = { LOG_LEVEL: "warn", LOG_FORMAT: "json" };
const delete_wait_ms_max = 30_000;

export function embeddedTarget(): Target {
  const open = async (topic: string, load?: Load): Promise<BenchTopic> => {
    const dir = await tempDir();
    const path = join(dir.path, "log.sqlite");
    const log = openSqliteLog({ path, clock: systemClock, newUuid: () => crypto.randomUUID(), owner: "bench" });
    if (load) await fillTopic(log, topic, load);
    return {
      log,
      topic,
      dataDir: dir.path,
      settings: () => ({ ...quiet, ORDERS_TOPIC: topic }),
      [Symbol.asyncDispose]: async () => {
        await log.close();
        await dir[Symbol.asyncDispose]();
      },
    };
  };
  return {
    name: "embedded",
    brokers: undefined,
    emptyTopic: (what) => open(`bench.${what}`),
    fullTopic: (what, load) => open(`bench.${what}`, load),
  };
}

/** `runId` keeps the topics and groups of this run apart from those of others on the same broker. */
export function kafkaTarget(brokers: string, runId: string): Target {
  let groups = 0;
  const open = async (topic: string, load?: Load): Promise<BenchTopic> => {
    const log = kafkaLog(brokers);
    const dir = await tempDir();
    if (load && (await recordCount(log, topic)) !== eventCount(load)) {
      await deleteTopics(brokers, log, [topic]);
      await fillTopic(log, topic, load);
    }
    return {
      log,
      topic,
      dataDir: dir.path,
      settings: () => ({ ...quiet, KAFKA_BROKERS: brokers, ORDERS_TOPIC: topic, CONSUMER_GROUP: `bench.${runId}.${groups++}` }),
      [Symbol.asyncDispose]: async () => {
        await deleteTopics(brokers, log, load ? [`${topic}.dlq`] : [topic, `${topic}.dlq`]);
        await log.close();
        await dir[Symbol.asyncDispose]();
      },
    };
  };
  return {
    name: "kafka",
    brokers,
    emptyTopic: (what) => open(`bench.${what}.${runId}`),
    fullTopic: (what, load) => open(`bench.${what}.${eventCount(load)}`, load),
  };
}

function kafkaLog(brokers: string): Log {
  return new KafkaLog({
    brokers: brokers.split(","),
    clientId: "order-processing-bench",
    session_timeout_ms: 10_000,
    backoff_ms_min: 100,
    backoff_ms_max: 2_000,
    clock: systemClock,
    random: Math.random,
  });
}

async function deleteTopics(brokers: string, log: Log, topics: readonly string[]): Promise<void> {
  const admin = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    for (const topic of topics) {
      if ((await log.partitionCount(topic)) === 0) continue;
      await admin.deleteTopics({ topics: [topic] });
      const gone = async () => (await log.partitionCount(topic)) === 0;
      await waitUntil(`for the topic ${topic} to be deleted`, gone, { wait_ms_max: delete_wait_ms_max });
    }
  } finally {
    await admin.disconnect();
  }
}
