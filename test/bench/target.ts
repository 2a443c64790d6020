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
  /** Where `openLog` finds the log, for processes of the bench's own. */
  readonly place: string;
}

/** A log that is measured. */
export interface Target {
  readonly name: "embedded" | "kafka";
  /** The addresses of the brokers; undefined if no peer can work on the log. */
  readonly brokers: string | undefined;
  emptyTopic(what: string): Promise<BenchTopic>;
  /**
   * On a broker the topic is kept after the run, and is used again if it is already full. `named` must be full, and is
   * left as it is.
   */
  fullTopic(load: Load, named?: string): Promise<BenchTopic>;
}

const quiet = { LOG_LEVEL: "warn", LOG_FORMAT: "json" };
const delete_wait_ms_max = 30_000;

/** The log of a `place`: the path of an embedded log's file, or the addresses of brokers. */
export const openLog = (place: string): Log =>
  place.startsWith("/")
    ? openSqliteLog({ path: place, clock: systemClock, newUuid: () => crypto.randomUUID(), owner: `bench-${process.pid}` })
    : kafkaLog(place);

export function embeddedTarget(): Target {
  const open = async (topic: string, load?: Load): Promise<BenchTopic> => {
    const dir = await tempDir();
    const place = join(dir.path, "log.sqlite");
    const log = openLog(place);
    if (load) await fillTopic(log, topic, load);
    return {
      log,
      topic,
      place,
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
    fullTopic: (load) => open(nameOf(load), load),
  };
}

const nameOf = ({ shape, orders, updatesPerOrder, partitions }: Load): string =>
  `bench.${shape}.${orders}x${1 + updatesPerOrder}${partitions === undefined ? "" : `.in-${partitions}`}`;

/** `runId` keeps the topics and groups of this run apart from those of others on the same broker. */
export function kafkaTarget(brokers: string, runId: string): Target {
  let groups = 0;
  const open = async (topic: string, removed: readonly string[], fill: (log: Log) => Promise<void>): Promise<BenchTopic> => {
    const log = openLog(brokers);
    const dir = await tempDir();
    const dispose = async () => {
      await deleteTopics(brokers, log, removed);
      await log.close();
      await dir[Symbol.asyncDispose]();
    };
    try {
      await fill(log);
    } catch (e) {
      await log.close();
      await dir[Symbol.asyncDispose]();
      throw e;
    }
    return {
      log,
      topic,
      place: brokers,
      dataDir: dir.path,
      settings: () => ({ ...quiet, KAFKA_BROKERS: brokers, ORDERS_TOPIC: topic, CONSUMER_GROUP: `bench.${runId}.${groups++}` }),
      [Symbol.asyncDispose]: dispose,
    };
  };
  const mustBeFull = (topic: string, load: Load) => async (log: Log) => {
    const [count, events] = [await recordCount(log, topic), eventCount(load)];
    if (count !== events) throw new Error(`The topic ${topic} has ${count} events, not the ${events} that were asked for.`);
  };
  return {
    name: "kafka",
    brokers,
    emptyTopic: (what) => {
      const topic = `bench.${what}.${runId}`;
      return open(topic, [topic, `${topic}.dlq`], async () => {});
    },
    fullTopic: (load, named) => {
      if (named !== undefined) return open(named, [], mustBeFull(named, load));
      const topic = nameOf(load);
      return open(topic, [`${topic}.dlq`], async (log) => {
        if ((await recordCount(log, topic)) === eventCount(load)) return;
        await deleteTopics(brokers, log, [topic]);
        await fillTopic(log, topic, load);
      });
    },
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
