import { expect, test } from "bun:test";
import { join } from "node:path";
import { DEAD_LETTER_HEADERS } from "../../src/log/record-headers.ts";
import type { NewHeader, NewRecord } from "../../src/log/port.ts";
import { brokerSuite } from "../support/brokers/broker.ts";
import { connectSuite, startPipeline } from "../support/brokers/connect.ts";
import { type Backing, brokerBacking } from "../support/brokers/foreign.ts";
import { pythonCreate } from "../support/events/python-events.ts";
import { orderDetails } from "../support/http/http.ts";
import { startProgram } from "../support/programs/processes.ts";
import { type ExactRecord, headerOf, headersByName, readExact } from "../support/events/records.ts";
import { createTopic } from "../support/brokers/topics.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 120_000;
const PARTITIONS = 12;
const LETTER_PARTITIONS = 3;
const file = join(import.meta.dir, "../../pipelines/redrive.yaml");
const names = Object.values(DEAD_LETTER_HEADERS);

async function createTopics({ log, topic, deadLetterTopic }: Backing) {
  await createTopic(log, topic, PARTITIONS);
  await createTopic(log, deadLetterTopic, LETTER_PARTITIONS);
  await createTopic(log, `${topic}.parked`, LETTER_PARTITIONS);
}

const startService = ({ env, dataDir }: Backing) =>
  startProgram({ role: "consumer", env: { ...env, TOPIC_PARTITIONS: String(PARTITIONS) }, dataDir });

await connectSuite("redrive", (connect) =>
  brokerSuite(`redrive by ${connect.kind}`, ({ brokers }) => {
    const startRedrive = (backing: Backing, settings: Record<string, string> = {}) =>
      startPipeline(connect, file, {
        KAFKA_BROKERS: brokers,
        REDRIVE_TOPIC: backing.topic,
        REDRIVE_ID: backing.topic,
        ...settings,
      });

    test(
      "what stays poison is redriven as often as allowed and then parked, once, with everything it had; a second run adds nothing",
      async () => {
        await using backing = await brokerBacking(brokers);
        const { log, topic, deadLetterTopic } = backing;
        await createTopics(backing);
        const key = Buffer.from([0, 0xff]);
        const value = Buffer.from([0x7b, 0xff, 0xfe]);
        await backing.produce([{ partition: 7, key, value, headers: { mine: Buffer.from([0xff, 0, 0x80]), empty: "" } }]);
        await using service = await startService(backing);
        await service.ready();
        const parked = () => readExact(log, `${topic}.parked`);
        const before_ms = Date.now();
        {
          await using redrive = await startRedrive(backing, { REDRIVES_MAX: "2" });
          await waitUntil("a parked letter", async () => (await parked()).length > 0, { wait_ms_max: 60_000 });
          // A letter parked by mistake would be followed by another record or letter.
          await Bun.sleep(1_000);
          expect(await redrive.stop()).toBe(0);
        }
        const records = await readExact(log, topic);
        const letters = await readExact(log, deadLetterTopic);
        const original = { partition: 7, key: key.toString("latin1"), value: value.toString("latin1") };
        expect(records).toMatchObject([original, original, original]);
        expect(records.map((record) => headersByName(record).map(([name]) => name))).toEqual([
          ["empty", "mine"],
          ...[1, 2].map(() => [
            "empty",
            "mine",
            "x-redrive-count",
            "x-redriven-from-offset",
            "x-redriven-from-partition",
            "x-redriven-from-timestamp",
            "x-redriven-from-topic",
          ]),
        ]);
        for (const [i, record] of records.entries()) {
          expect([headerOf(record, "mine"), headerOf(record, "empty")]).toEqual(["\xff\0\x80", ""]);
          if (i === 0) continue;
          expect(record.timestamp_ms).toBeGreaterThanOrEqual(before_ms);
          expect(headerOf(record, "x-redrive-count")).toBe(String(i));
          expect(headerOf(record, "x-redriven-from-topic")).toBe(deadLetterTopic);
          const letter = letters[i - 1]!;
          expect(["partition", "offset", "timestamp"].map((name) => headerOf(record, `x-redriven-from-${name}`))).toEqual([
            String(letter.partition),
            String(letter.offset),
            String(letter.timestamp_ms),
          ]);
        }
        expect(letters).toHaveLength(3);
        const last = letters[2]!;
        const [only, ...more] = await parked();
        expect(more).toEqual([]);
        expect({ ...only!, offset: 0, headers: headersByName(only!, "x-parked-") }).toEqual({
          ...last,
          offset: 0,
          headers: headersByName(last),
        });
        expect(headersByName(only!).filter(([name]) => name.startsWith("x-parked-"))).toEqual([
          ["x-parked-from-offset", String(last.offset)],
          ["x-parked-from-partition", String(last.partition)],
          ["x-parked-from-timestamp", String(last.timestamp_ms)],
          ["x-parked-from-topic", deadLetterTopic],
        ]);

        // The same redrive runs again and goes on after the letters it took.
        await using again = await startRedrive(backing, { REDRIVES_MAX: "2" });
        await again.ready();
        await backing.produce([{ partition: 1, key: "ORD-1", value: "one more" }]);
        await waitUntil("the next letter to come back", async () => (await readExact(log, topic)).length > 4, {
          wait_ms_max: 60_000,
        });
        expect(await again.stop()).toBe(0);
        expect((await parked()).filter((record) => record.key === original.key)).toHaveLength(1);
      },
      TIMEOUT_MS,
    );

    test(
      "a letter whose copy in the dead letters was corrected is redriven and ends applied",
      async () => {
        await using backing = await brokerBacking(brokers);
        await createTopics(backing);
        await backing.produce([{ partition: 4, key: "ORD-41", value: pythonCreate("ORD-41").slice(0, -1) }]);
        await using service = await startService(backing);
        await service.ready();
        const letter = await waitUntil("the letter", async () => (await readExact(backing.log, backing.deadLetterTopic))[0]);
        const producer = backing.log.producer();
        const bytes = (text: string | null) => text && Buffer.from(text, "latin1");
        const corrected: ExactRecord = { ...letter, value: `${letter.value}}` };
        const headers = corrected.headers.map(([name, value]) => [name, bytes(value)] as const);
        await producer.append(backing.deadLetterTopic, [
          { ...corrected, key: bytes(corrected.key), value: bytes(corrected.value), headers },
        ]);
        await producer.close();
        const place = `${letter.partition}:${letter.offset + 2}`;
        // The first letter stands before a transaction's marker.
        await using redrive = await startRedrive(backing, { REDRIVE_LETTERS: place });
        await redrive.ready();
        const applied = async () => (await orderDetails(service.orderUrl, "41")).status === 200;
        await waitUntil("the order", applied, { wait_ms_max: 60_000 });
        expect(await redrive.stop()).toBe(0);
        const records = await readExact(backing.log, backing.topic);
        expect(records).toHaveLength(2);
        expect(records[1]!.headers.filter(([name]) => names.some((one) => one === name))).toEqual([]);
      },
      TIMEOUT_MS,
    );

    test(
      "by reason: the others stay, and so do one from another topic and one whose header hides its partition",
      async () => {
        await using backing = await brokerBacking(brokers);
        await createTopics(backing);
        const letter = (n: number, reason: string, topic: string, more: readonly NewHeader[] = []): NewRecord => ({
          partition: n % LETTER_PARTITIONS,
          key: `ORD-${n}`,
          value: `poison ${n}`,
          timestamp_ms: Date.now(),
          headers: [
            ...more,
            [DEAD_LETTER_HEADERS.reason, reason],
            [DEAD_LETTER_HEADERS.topic, topic],
            [DEAD_LETTER_HEADERS.partition, "5"],
            [DEAD_LETTER_HEADERS.offset, String(n)],
          ],
        });
        const producer = backing.log.producer();
        await producer.append(backing.deadLetterTopic, [
          letter(0, "not_json", backing.topic),
          letter(1, "invalid_date", backing.topic),
          letter(2, "not_json", "payments"),
          letter(3, "not_json", backing.topic, [["kafka_partition", "9"]]),
          letter(4, "not_json", backing.topic),
        ]);
        await producer.close();
        await using redrive = await startRedrive(backing, { REDRIVE_REASONS: "wrong_shape,not_json" });
        await waitUntil("two records", async () => (await readExact(backing.log, backing.topic)).length >= 2, {
          wait_ms_max: 60_000,
        });
        await Bun.sleep(500);
        expect(await redrive.stop()).toBe(0);
        const records = await readExact(backing.log, backing.topic);
        expect(records.map(({ partition }) => partition)).toEqual([5, 5]);
        expect(new Set(records.map(({ key }) => key))).toEqual(new Set(["ORD-0", "ORD-4"]));
        expect(redrive.process.output().match(/Left: /g)).toHaveLength(2);
      },
      TIMEOUT_MS,
    );
  }),
);
