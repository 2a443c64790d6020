import { expect, test } from "bun:test";
import { Kafka, logLevel, Partitioners } from "kafkajs";
import { systemClock } from "../../src/clock.ts";
import { AppError } from "../../src/errors.ts";
import { Appender } from "../../src/log/appender.ts";
import type { FetchResult, Log } from "../../src/log/log.ts";
import { newRecord, newRecords, readAll, values } from "../contract/harness.ts";
import { brokerSuite } from "../support/broker.ts";
import { kafkaLogs, openKafkaLog } from "../support/kafka-log.ts";
import { apiKeys, type TcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil } from "../support/wait-until.ts";

/*
 * The traps of kafkajs 2.2.4 (decision 1), one by one, on a real broker. The others:
 * stalled members, endless restarts and idle timers: kafkajs-wedges.test.ts
 * batches in snappy, lz4 and zstd: placement.test.ts, "batches of every codec are applied"
 * changed private parts: test/unit/kafkajs-seam.test.ts
 */

const TIMEOUT_MS = 120_000;
const FETCH = { wait_ms_max: 250, partition_bytes_max: 4 * 1024 };

/** Every value appended, by what its producer said of it. */
class Ledger {
  readonly acknowledged: { readonly partition: number; readonly offset: number; readonly value: string }[] = [];
  readonly unknown: string[] = [];
  readonly refused: string[] = [];

  /** Takes what `append` promised for the values, all in `partition`. */
  async note(partition: number, written: readonly string[], append: Promise<number[]>): Promise<void> {
    try {
      for (const [i, offset] of (await append).entries())
        this.acknowledged.push({ partition, offset, value: written[i] as string });
    } catch (e) {
      const code = e instanceof AppError ? e.code : String(e);
      if (code !== "APPEND_OUTCOME_UNKNOWN" && code !== "LOG_UNAVAILABLE") throw e;
      (code === "LOG_UNAVAILABLE" ? this.refused : this.unknown).push(...written);
    }
  }

  /** Holds all promises to the log. */
  async audit(log: Log, topic: string): Promise<void> {
    const count = await log.partitionCount(topic);
    const partitions = await Promise.all(Array.from({ length: count }, (_, partition) => readAll(log, topic, partition)));
    const times = new Map<string, number>();
    for (const value of partitions.flatMap(values)) times.set(value, (times.get(value) ?? 0) + 1);
    const misplaced = this.acknowledged.filter(
      ({ partition, offset, value }) => String(partitions[partition]?.[offset]?.value) !== value,
    );
    expect({ misplaced: misplaced.slice(0, 3) }).toEqual({ misplaced: [] });
    expect({ doubled: [...times].filter(([, n]) => n > 1).slice(0, 3) }).toEqual({ doubled: [] });
    expect({ refusedYetThere: this.refused.filter((value) => times.has(value)) }).toEqual({ refusedYetThere: [] });
  }
}

interface SendFault {
  readonly name: string;
  /** Within which time the send has to be done. */
  readonly patience_ms: number;
  readonly arm: (proxy: TcpProxy) => void;
}

const LONG_MS = 20_000;
const SHORT_MS = 250;
const refuseAfter = (lost: Promise<void>, proxy: TcpProxy) => void lost.then(() => proxy.refuse());

const quickFaults: readonly SendFault[] = [
  { name: "the request is lost", patience_ms: LONG_MS, arm: (proxy) => void proxy.loseNextRequest(apiKeys.produce) },
  { name: "the answer is lost", patience_ms: LONG_MS, arm: (proxy) => void proxy.loseNextAnswer(apiKeys.produce) },
  {
    name: "given up, not taken",
    patience_ms: SHORT_MS,
    arm: (proxy) => refuseAfter(proxy.loseNextRequest(apiKeys.produce), proxy),
  },
  { name: "given up, taken", patience_ms: SHORT_MS, arm: (proxy) => refuseAfter(proxy.loseNextAnswer(apiKeys.produce), proxy) },
  { name: "too late to be sent", patience_ms: 0, arm: () => undefined },
];

/** Noticed by the time a request may take, 4 s. */
const slowFaults: readonly SendFault[] = [
  { name: "the answer never comes", patience_ms: LONG_MS, arm: (proxy) => void proxy.hangNextAnswer(apiKeys.produce) },
  { name: "given up, in silence", patience_ms: SHORT_MS, arm: (proxy) => void proxy.hangNextAnswer(apiKeys.produce) },
];

await brokerSuite("kafkajs' traps", (broker) => {
  const uniqueName = (prefix: string) => `${prefix}-${crypto.randomUUID()}`;

  test.skipIf(!broker.proxied)(
    "sequence rolled back after a send that gave up: whatever a send met before, each acknowledged record is in the log once, at its offset",
    async () => {
      await using logs = await kafkaLogs(broker);
      const topic = uniqueName("sequence");
      await logs.direct.createTopic(topic, 2);
      const producer = logs.proxied.producer();
      const ledger = new Ledger();
      let sends = 0;
      const send = async (count: number, patience_ms: number) => {
        const partition = (sends >> 2) % 2;
        const records = newRecords(`${sends++}`, count, { partition });
        const written = records.map(({ value }) => String(value));
        await ledger.note(partition, written, producer.append(topic, records, systemClock.now_ms() + patience_ms));
      };
      await send(1, LONG_MS);
      for (let round = 0; round < 5; round++) {
        for (const { patience_ms, arm } of round === 0 ? slowFaults : quickFaults) {
          // The send after a fault has as many records as the one that met it, or the broker itself would notice a sequence rolled back.
          const count = 1 + (round % 2);
          arm(logs.proxy);
          await send(count, patience_ms);
          logs.proxy.pass();
          await send(count, LONG_MS);
        }
      }
      // Each fault struck.
      expect(ledger.unknown.length).toBe(1 + 2 * (1 + 2 + 1 + 2));
      expect(ledger.refused.length).toBe(1 + 2 + 1 + 2);
      await ledger.audit(logs.direct, topic);
    },
    TIMEOUT_MS,
  );

  test.skipIf(!broker.proxied)(
    "concurrent sends lose acknowledged records: what hundreds append at once, with deadlines, through cuts and lost answers, is kept",
    async () => {
      await using logs = await kafkaLogs(broker);
      const topic = uniqueName("concurrent");
      await logs.direct.createTopic(topic, 2);
      const appender = new Appender({
        producer: logs.proxied.producer(),
        topic,
        clock: systemClock,
        queue_records_max: 10_000,
        batch_records_max: 50,
      });
      const ledger = new Ledger();
      const ending = { soon: false };
      const clients = Array.from({ length: 200 }, async (_, client) => {
        for (let i = 0; !ending.soon; i++) {
          const [partition, value] = [client % 2, `${client}.${i}`];
          const record = newRecord(value, { partition });
          const append = appender.append(record, systemClock.now_ms() + 100 + (client % 10) * 100);
          await ledger.note(
            partition,
            [value],
            append.then((offset) => [offset]),
          );
          await Bun.sleep(5);
        }
      });
      for (let round = 0; round < 12; round++) {
        await Bun.sleep(100);
        if (round % 4 === 3) logs.proxy.cut();
        else await Promise.race([loseSome(logs.proxy, round), Bun.sleep(2_000)]);
        if (round % 4 === 2) await Bun.sleep(300);
        logs.proxy.pass();
      }
      await waitUntil("appends again", () => {
        const before = ledger.acknowledged.length;
        return Bun.sleep(50).then(() => ledger.acknowledged.length > before);
      });
      ending.soon = true;
      await Promise.all(clients);
      await appender.close(10_000);
      expect(ledger.unknown.length).toBeGreaterThan(0);
      expect(ledger.acknowledged.length).toBeGreaterThan(1_000);
      await ledger.audit(logs.direct, topic);
    },
    TIMEOUT_MS,
  );

  test.skipIf(!broker.proxied)(
    "kafkajs itself loses them: its idempotent producer acknowledges a record that the log does not hold",
    async () => {
      await using logs = await kafkaLogs(broker);
      const topic = uniqueName("naive");
      await logs.direct.createTopic(topic, 1);
      const retry = { retries: 1, initialRetryTime: 20 };
      const kafka = new Kafka({ brokers: [`127.0.0.1:${logs.proxy.port}`], logLevel: logLevel.NOTHING, retry });
      const producer = kafka.producer({ idempotent: true, createPartitioner: Partitioners.DefaultPartitioner });
      await producer.connect();
      const send = (value: string) => producer.send({ topic, messages: [{ value }] });
      await send("before");
      refuseAfter(logs.proxy.loseNextAnswer(apiKeys.produce), logs.proxy);
      await expect(send("gave up")).rejects.toThrow();
      logs.proxy.pass();
      const [acknowledged] = await send("acknowledged");
      expect(acknowledged?.errorCode).toBe(0);
      await producer.disconnect();
      expect(values(await readAll(logs.direct, topic))).not.toContain("acknowledged");
    },
    TIMEOUT_MS,
  );

  test.skipIf(!broker.proxied)(
    "early records after a join: whatever moves a position, no record before it is delivered, and none is left out",
    async () => {
      await using logs = await kafkaLogs(broker);
      const topic = uniqueName("early");
      const group = uniqueName("group");
      await logs.direct.createTopic(topic, 4);
      const producer = logs.direct.producer();
      const appendSome = async () => {
        // One batch of 50 a partition, so that most positions lie in the middle of one.
        await producer.append(
          topic,
          [0, 1, 2, 3].flatMap((partition) => newRecords("r", 50, { partition })),
        );
      };
      await appendSome();

      const stored = new Map([0, 1, 2, 3].map((partition) => [partition, 0]));
      const deliveries: Delivery[] = [];
      await using first = consume(logs.proxied, topic, group, stored, deliveries);
      const appending = { on: true };
      const appends = (async () => {
        for (; appending.on; await Bun.sleep(20)) await appendSome();
      })();
      appends.catch(() => undefined);
      for (let round = 0; round < 3; round++) {
        await waitUntil("the first to have all", () => first.held().length === 4, { wait_ms_max: 30_000 });
        await using second = consume(logs.open("direct"), topic, group, stored, deliveries);
        await waitUntil("both to share", () => first.held().length === 2 && second.held().length === 2, { wait_ms_max: 30_000 });
        const before = first.assignments();
        await logs.proxy.loseNextAnswer(apiKeys.heartbeat);
        await waitUntil("the first to join again", () => first.assignments() > before, { wait_ms_max: 30_000 });
      }
      appending.on = false;
      await appends;
      const ends = await logs.direct.watermarks(topic);
      await waitUntil("everything to be read", () => ends.every(({ endOffset }, p) => stored.get(p) === endOffset), {
        wait_ms_max: 30_000,
      });
      expect(first.assignments()).toBeGreaterThanOrEqual(9);
      expect(deliveries.length).toBeGreaterThan(100);
      expect(deliveries.filter(({ asked }) => asked % 50 !== 0).length).toBeGreaterThan(10);
      const wrong = deliveries.filter(({ asked, offsets }) => offsets.some((offset, i) => offset !== asked + i));
      expect({ wrong: wrong.slice(0, 3) }).toEqual({ wrong: [] });
    },
    TIMEOUT_MS,
  );

  test("an offset out of range restarts at the log's start: the reader is told, with the range, by a log cut off and by a topic made anew", async () => {
    const direct = openKafkaLog(broker.brokers);
    const topic = uniqueName("range");
    await direct.createTopic(topic, 1);
    const producer = direct.producer();
    await producer.append(topic, newRecords("a", 10));
    const reader = direct.reader(topic);
    /** What the reader tells next of a position: it may fail while the topic is away. */
    const told = (position: number) =>
      waitUntil(
        `what is told of ${position}`,
        async () => (await reader.fetch(new Map([[0, position]]), FETCH).catch((): FetchResult[] => []))[0],
        { wait_ms_max: 30_000 },
      );
    expect(await told(0)).toMatchObject({ batch: { baseOffset: 0, nextOffset: 10 } });
    await direct.deleteRecords(topic, 0, 6);
    const cutOff = { partition: 0, outOfRange: { startOffset: 6, endOffset: 10 } };
    for (const position of [0, 5, 11, 1_000_000]) expect(await told(position)).toEqual({ ...cutOff });
    expect(await told(6)).toMatchObject({ batch: { baseOffset: 6, nextOffset: 10 } });

    const admin = new Kafka({ brokers: broker.brokers.split(","), logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.deleteTopics({ topics: [topic] });
    await admin.disconnect();
    await waitUntil("the topic to be gone", async () => (await direct.partitionCount(topic)) === 0);
    await direct.createTopic(topic, 1);
    await direct.producer().append(topic, newRecords("b", 3));
    expect(await told(10)).toEqual({ partition: 0, outOfRange: { startOffset: 0, endOffset: 3 } });
    expect(await told(0)).toMatchObject({ batch: { baseOffset: 0, nextOffset: 3 } });
    await direct.close();
  }, TIMEOUT_MS);
});

/** What came back when the records of a partition from `asked` on were asked for. */
interface Delivery {
  readonly asked: number;
  readonly offsets: readonly number[];
}

/** How far a position falls back at each assignment, as if the newest had not been stored. */
const FALL_BACK_RECORDS = 37;

/** A member that reads what it is assigned, each partition from where `stored` says. */
function consume(log: Log, topic: string, group: string, stored: Map<number, number>, deliveries: Delivery[]) {
  let positions = new Map<number, number>();
  let assignments = 0;
  let ended = false;
  const membership = log.joinGroup({
    group,
    topic,
    localPartitions: () => [],
    listener: {
      assigned: (partitions) => {
        positions = new Map(partitions.map((p) => [p, Math.max(0, (stored.get(p) as number) - FALL_BACK_RECORDS)]));
        assignments++;
      },
      lost: () => {
        positions = new Map();
      },
      waiting: () => undefined,
    },
  });
  const reader = log.reader(topic);
  const reading = (async () => {
    while (!ended) {
      if (positions.size === 0) await Bun.sleep(10);
      const asked = new Map(positions);
      const mine = positions;
      const results = await reader.fetch(asked, FETCH).catch(() => Bun.sleep(20).then((): FetchResult[] => []));
      for (const result of results) {
        if (!("batch" in result)) throw new Error(`no batch: ${JSON.stringify(result)}`);
        const { partition, records, nextOffset } = result.batch;
        deliveries.push({ asked: asked.get(partition) as number, offsets: records.map(({ offset }) => offset) });
        if (positions !== mine) continue;
        positions.set(partition, nextOffset);
        stored.set(partition, nextOffset);
      }
    }
  })();
  return {
    held: () => [...positions.keys()],
    assignments: () => assignments,
    [Symbol.asyncDispose]: async () => {
      ended = true;
      await membership.leave();
      await reader.close();
      await reading;
    },
  };
}

/** By turns: the answer, the request, and the answer with no way back. */
const loseSome = (proxy: TcpProxy, round: number): Promise<void> =>
  round % 4 === 0
    ? proxy.loseNextAnswer(apiKeys.produce)
    : round % 4 === 1
      ? proxy.loseNextRequest(apiKeys.produce)
      : proxy.loseNextAnswer(apiKeys.produce).then(proxy.refuse);
