import { expect, test } from "bun:test";
import { Kafka, logLevel } from "kafkajs";
import type { FetchResult, Log } from "../../../src/log/port.ts";
import { newRecords } from "../../log/contract/harness.ts";
import { brokerSuite } from "../../support/brokers/broker.ts";
import { kafkaLogs, openKafkaLog } from "../../support/brokers/kafka-log.ts";
import { apiKeys } from "../../support/brokers/tcp-proxy.ts";
import { waitUntil } from "../../support/wait-until.ts";

/*
 * The traps of kafkajs 2.2.4 (decision 1) in what a consumer is given. Its failure on a batch in snappy, lz4 or zstd is
 * guarded in placement.test.ts: "batches of every codec are applied".
 */

const TIMEOUT_MS = 120_000;
const FETCH = { wait_ms_max: 250, partition_bytes_max: 4 * 1024 };

await brokerSuite("kafkajs' traps: the consumer", (broker) => {
  const uniqueName = (prefix: string) => `${prefix}-${crypto.randomUUID()}`;

  test.skipIf(!broker.proxied)(
    "early records after a join: whatever moves a position, no record before it is delivered, and none is left out",
    async () => {
      await using logs = await kafkaLogs(broker);
      const topic = uniqueName("early");
      const group = uniqueName("group");
      await logs.direct.createTopic(topic, 4);
      const producer = logs.direct.producer();
      const appendSome = async () => {
        // Each partition gets batches of 50, so most positions lie in the middle of one.
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

  test(
    "an offset out of range restarts at the log's start: the reader is told, with the range, by a log cut off and by a topic made anew",
    async () => {
      const direct = openKafkaLog(broker.brokers);
      const topic = uniqueName("range");
      await direct.createTopic(topic, 1);
      const producer = direct.producer();
      await producer.append(topic, newRecords("a", 10));
      const reader = direct.reader(topic);
      /** What the reader tells next of a position; a fetch may fail while the topic is away. */
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
      // The broker may not know its own new topic yet when it has just created it.
      await waitUntil("the new topic", () =>
        direct.createTopic(topic, 1).then(
          () => true,
          () => false,
        ),
      );
      await direct.producer().append(topic, newRecords("b", 3));
      expect(await told(10)).toEqual({ partition: 0, outOfRange: { startOffset: 0, endOffset: 3 } });
      expect(await told(0)).toMatchObject({ batch: { baseOffset: 0, nextOffset: 3 } });
      await direct.close();
    },
    TIMEOUT_MS,
  );
});

/** The offsets that came back when a partition's records from `asked` on were requested. */
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
  const running = { on: true };
  const membership = log.joinGroup({
    group,
    topic,
    localPositions: () => new Map(),
    listener: {
      onAssigned: ({ partitions }) => {
        positions = new Map(partitions.map((p) => [p, Math.max(0, (stored.get(p) as number) - FALL_BACK_RECORDS)]));
        assignments++;
      },
      onLost: () => {
        positions = new Map();
      },
      onWaiting: () => undefined,
    },
  });
  const reader = log.reader(topic);
  const reading = (async () => {
    while (running.on) {
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
      running.on = false;
      await membership.leave();
      await reader.close();
      await reading;
    },
  };
}
