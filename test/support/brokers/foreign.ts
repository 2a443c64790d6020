import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createZstdCompress } from "node:zlib";
import { type CompressionCodecs, CompressionTypes, Kafka, logLevel, type Message, Partitioners } from "kafkajs";
import { compressFrameSync } from "lz4-napi";
import { compressSync } from "snappy";
import { systemClock } from "../../../src/system/clock.ts";
import { KafkaLog } from "../../../src/log/kafka/kafka-log.ts";
import type { Log } from "../../../src/log/port.ts";
import { openSqliteLog } from "../../../src/log/sqlite/sqlite-log.ts";
import { committedRecords } from "../events/records.ts";
import { tempDir } from "../stores/temp-dir.ts";

/**
 * A log of its own for one test: a new topic on the broker, or an embedded log in a new directory. The programs under
 * test get `env` and `dataDir`; the test looks into the log through `log` and writes as a stranger through `produce`.
 */
export interface Backing extends AsyncDisposable {
  readonly kind: "broker" | "embedded";
  readonly env: Readonly<Record<string, string>>;
  readonly dataDir: string;
  readonly topic: string;
  readonly deadLetterTopic: string;
  readonly log: Log;
  /** Appends to the partition each message names, as another program would; on the broker it uses kafkajs. */
  produce(messages: readonly ForeignMessage[], compression?: CompressionTypes): Promise<void>;
  /** Removes what can be rebuilt from the log. No program may run on `dataDir` meanwhile. */
  forgetState(): Promise<void>;
}

export type ForeignMessage = Message & { readonly partition: number };

export async function brokerBacking(brokers: string, settings: Readonly<Record<string, string>> = {}): Promise<Backing> {
  const { env, topic, deadLetterTopic } = names(settings);
  const dir = await tempDir();
  const log = inspectorLog(brokers);
  return {
    kind: "broker",
    env: { ...env, KAFKA_BROKERS: brokers },
    dataDir: dir.path,
    topic,
    deadLetterTopic,
    log,
    produce: (messages, compression = CompressionTypes.None) => produceToBroker(brokers, topic, messages, compression),
    forgetState: () => rm(join(dir.path, "state"), { recursive: true }),
    [Symbol.asyncDispose]: async () => {
      await log.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** A way for tests to look into the log. */
export const inspectorLog = (brokers: string): KafkaLog =>
  new KafkaLog({
    brokers: brokers.split(","),
    clientId: "test-inspector",
    session_timeout_ms: 10_000,
    backoff_ms_min: 50,
    backoff_ms_max: 500,
    clock: systemClock,
    random: Math.random,
    onClientMessage: () => {},
  });

export async function embeddedBacking(settings: Readonly<Record<string, string>> = {}): Promise<Backing> {
  const { env, topic, deadLetterTopic } = names(settings);
  const dir = await tempDir();
  const log = openSqliteLog({
    path: join(dir.path, "log.sqlite"),
    clock: systemClock,
    newUuid: () => crypto.randomUUID(),
    owner: "the test",
  });
  const produce = async (messages: readonly ForeignMessage[]) => {
    const producer = log.producer();
    const records = messages.map(({ partition, key, value, headers }) => ({
      partition,
      key: key ?? null,
      value,
      timestamp_ms: 0,
      headers: Object.entries(headers ?? {}).flatMap(([name, given]) =>
        (Array.isArray(given) ? given : [given]).map((one) => [name, one ?? null] as const),
      ),
    }));
    await producer.append(topic, records);
    await producer.close();
  };
  return {
    kind: "embedded",
    env,
    dataDir: dir.path,
    topic,
    deadLetterTopic,
    log,
    produce,
    forgetState: () => rm(join(dir.path, "state"), { recursive: true }),
    [Symbol.asyncDispose]: async () => {
      await log.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

function names(settings: Readonly<Record<string, string>>) {
  const id = crypto.randomUUID().slice(0, 8);
  const topic = `orders.${id}`;
  return {
    topic,
    deadLetterTopic: `${topic}.dlq`,
    env: { ORDERS_TOPIC: topic, CONSUMER_GROUP: `group.${id}`, SESSION_TIMEOUT_MS: "6000", ...settings },
  };
}

export interface ForeignRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/**
 * All committed records of a topic, up to the end that each partition has when asked. Header values are decoded as
 * Latin-1, so that no byte is lost.
 */
export const readAll = (log: Log, topic: string): Promise<ForeignRecord[]> => Array.fromAsync(eachRecord(log, topic));

export async function* eachRecord(log: Log, topic: string): AsyncGenerator<ForeignRecord> {
  for await (const { partition, record } of committedRecords(log, topic)) {
    yield {
      partition,
      offset: record.offset,
      // The key and value are views of the batch's bytes, so they are copied.
      key: record.key && Buffer.from(record.key),
      value: record.value && Buffer.from(record.value),
      headers: record.headers().map(([name, value]) => [name, Buffer.from(value ?? []).toString("latin1")] as const),
    };
  }
}

/** The number of records in all partitions together, control records included; 0 if there is no such topic. */
export async function totalLength(log: Log, topic: string): Promise<number> {
  if ((await log.partitionCount(topic)) === 0) return 0;
  return (await log.watermarks(topic)).reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
}

export const foreignClient = (brokers: string) => new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING });

async function produceToBroker(
  brokers: string,
  topic: string,
  messages: readonly ForeignMessage[],
  compression: CompressionTypes,
): Promise<void> {
  const producer = foreignClient(brokers).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  try {
    await producer.send({ topic, messages: [...messages], compression });
  } finally {
    await producer.disconnect();
  }
}

/** How the snappy codec below writes: librdkafka and franz-go send one raw block, Java's client xerial's frames. */
export const snappyFraming: { current: "raw" | "xerial" } = { current: "raw" };

const XERIAL_HEADER = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
const XERIAL_BLOCK_BYTES = 32 * 1024;

function compressSnappy(bytes: Buffer): Buffer {
  if (snappyFraming.current === "raw") return compressSync(bytes);
  const parts: Uint8Array[] = [XERIAL_HEADER];
  for (let at = 0; at < bytes.length; at += XERIAL_BLOCK_BYTES) {
    const block = compressSync(bytes.subarray(at, at + XERIAL_BLOCK_BYTES));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

/** Compresses as a stream, so that the frame does not tell its content's size, just as Java's client does. */
async function compressZstd(bytes: Buffer): Promise<Buffer> {
  const stream = createZstdCompress();
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise((resolve, reject) => stream.on("end", resolve).on("error", reject));
  stream.write(bytes.subarray(0, bytes.length >> 1));
  stream.end(bytes.subarray(bytes.length >> 1));
  await ended;
  return Buffer.concat(chunks);
}

// kafkajs is CommonJS, and `import` would give only a copy of its codecs.
const codecs = (createRequire(import.meta.url)("kafkajs") as { CompressionCodecs: typeof CompressionCodecs }).CompressionCodecs;
const writeOnly = (compress: (bytes: Buffer) => Buffer | Promise<Buffer>) => () => ({
  compress: async (encoder: { buffer: Buffer }) => compress(encoder.buffer),
  decompress: () => Promise.reject(new Error("This client only writes.")),
});
codecs[CompressionTypes.Snappy] = writeOnly(compressSnappy);
codecs[CompressionTypes.LZ4] = writeOnly((bytes) => compressFrameSync(bytes));
codecs[CompressionTypes.ZSTD] = writeOnly(compressZstd);
