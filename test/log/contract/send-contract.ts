import { expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import type { NewRecord, SendOutcome } from "../../../src/log/port.ts";
import { newRecord, newRecords, readAll, rejection, TEST_TIMEOUT_MS, values } from "./harness.ts";
import type { ContractContext } from "./log-contract.ts";

/** Each record's offset, or the code of its error. */
const fates = (outcomes: readonly SendOutcome[]): (number | string)[] =>
  outcomes.map((outcome) => ("offset" in outcome ? outcome.offset : outcome.error.code));
/** Bytes that no compression makes smaller. */
const ofBytes = (count: number): NewRecord["value"] => crypto.getRandomValues(new Uint8Array(count));

export function sendContract({ harness, open }: ContractContext): void {
  test(
    "each record's fate is told in their order: its offset and its leader's epoch",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("sent");
      await log.createTopic(topic, 3);
      const producer = log.producer();
      const records = [0, 2, 0, 1, 2, 0].map((partition, index) => newRecord(`a-${index}`, { partition }));
      const outcomes = await producer.send(topic, records);
      expect(fates(outcomes)).toEqual([0, 0, 1, 0, 1, 2]);
      expect(fates(await producer.send(topic, newRecords("b", 2, { partition: 2 })))).toEqual([2, 3]);
      expect(await producer.append(topic, newRecords("c", 1, { partition: 2 }))).toEqual([4]);
      const read = await readAll(log, topic, 0);
      expect(values(read)).toEqual(["a-0", "a-2", "a-5"]);
      expect(values(await readAll(log, topic, 2))).toEqual(["a-1", "a-4", "b-0", "b-1", "c-0"]);
      expect(outcomes[0]).toEqual({ offset: 0, leaderEpoch: read[0]!.leaderEpoch });
      expect(await producer.send(topic, [])).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a partition that is not there fails its own record alone",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("own-fate");
      await log.createTopic(topic, 2);
      const records = [newRecord("a"), newRecord("nowhere", { partition: 7 }), newRecord("b", { partition: 1 }), newRecord("c")];
      const outcomes = await log.producer().send(topic, records, systemClock.now_ms() + 5_000);
      expect(fates(outcomes)).toEqual([0, "LOG_UNAVAILABLE", 0, 1]);
      expect(values(await readAll(log, topic))).toEqual(["a", "c"]);
      expect(values(await readAll(log, topic, 1))).toEqual(["b"]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "calls for different partitions may be under way together, each keeps its order, and a lane is a partition's own",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("lanes");
      await log.createTopic(topic, 3);
      const producer = log.producer();
      const partitions = [0, 1, 2];
      await Promise.all(
        partitions.map(async (partition) => {
          for (let round = 0; round < 20; round++) {
            const outcomes = await producer.send(topic, newRecords(`${partition}-${round}`, 3, { partition }));
            expect(fates(outcomes)).toEqual([round * 3, round * 3 + 1, round * 3 + 2]);
          }
        }),
      );
      for (const partition of partitions) {
        const expected = Array.from({ length: 60 }, (_, n) => `${partition}-${Math.floor(n / 3)}-${n % 3}`);
        expect(values(await readAll(log, topic, partition))).toEqual(expected);
        expect(producer.lane(topic, partition)).toBe(producer.lane(topic, partition));
      }
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "only the record that is itself too large is refused, and for good; what does not fit together is sent in parts",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("too-large");
      await log.createTopic(topic, 2, { record_bytes_max: 4_000 });
      const sizes = [1_000, 1_000, 1_000, 9_000, 1_000, 2_000, 3_000, 10, 10];
      const records = sizes.map((bytes, index) =>
        newRecord(ofBytes(bytes), { key: String(index), partition: index === 8 ? 1 : 0 }),
      );
      const producer = log.producer();
      const isBounded = harness.capabilities.boundsBatches;
      for (const round of [0, 1]) {
        const of = (offset: number) => offset + round * (isBounded ? 7 : 8);
        const expected: (number | string)[] = isBounded
          ? [of(0), of(1), of(2), "EVENT_TOO_LARGE", of(3), of(4), of(5), of(6), round]
          : [of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7), round];
        expect(fates(await producer.send(topic, records))).toEqual(expected);
      }
      if (isBounded) expect(producer.batchBytesMax(topic)).toBeLessThanOrEqual(4_000);
      const keys = (await readAll(log, topic)).map((record) => String(record.key));
      const once = isBounded ? ["0", "1", "2", "4", "5", "6", "7"] : ["0", "1", "2", "3", "4", "5", "6", "7"];
      expect(keys).toEqual([...once, ...once]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "an append is one batch for each partition: where that does not fit none of it lands, and parts of it do",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("one-batch");
      await log.createTopic(topic, 1, { record_bytes_max: 4_000 });
      const records = Array.from({ length: 6 }, () => newRecord(ofBytes(1_000)));
      const fencingId = harness.uniqueName("fence");
      const append = async (some: readonly NewRecord[]) => (await log.fencedProducer(fencingId)).append(topic, some);
      if (harness.capabilities.boundsBatches) {
        expect(await rejection(append(records))).toMatchObject({ code: "EVENT_TOO_LARGE" });
        expect(await readAll(log, topic)).toEqual([]);
        await append(records.slice(0, 3));
        await append(records.slice(3));
      } else {
        expect(await append(records)).toEqual([0, 1, 2, 3, 4, 5]);
      }
      expect((await readAll(log, topic)).length).toBe(6);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a record that can never land is refused for itself, and those beside it land",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("refused");
      await log.createTopic(topic, 1, { anyTimestamp: true });
      const producer = log.producer();
      const records = [newRecord("a"), newRecord("no time", { timestamp_ms: 1.5 }), newRecord("b")];
      expect(fates(await producer.send(topic, records))).toEqual([0, "APPEND_REFUSED", 1]);
      expect(await rejection(producer.append(topic, records))).toMatchObject({ code: "APPEND_REFUSED" });
      expect(values(await readAll(log, topic))).toEqual(["a", "b"]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a closed producer sends nothing, and says so",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("closed-producer");
      await log.createTopic(topic, 1);
      const producer = log.producer();
      await producer.close();
      expect(fates(await producer.send(topic, newRecords("a", 2)))).toEqual(["LOG_UNAVAILABLE", "LOG_UNAVAILABLE"]);
      expect(await rejection(producer.append(topic, newRecords("b", 1)))).toMatchObject({ code: "LOG_UNAVAILABLE" });
      expect(await readAll(log, topic)).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );
}
