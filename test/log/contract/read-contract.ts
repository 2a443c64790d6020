import { expect, test } from "bun:test";
import type { FetchResult } from "../../../src/log/port.ts";
import { batchOf, eventually, fetchSome, newRecord, newRecords, readAll, rejection, TEST_TIMEOUT_MS, values } from "./harness.ts";
import type { ContractContext } from "./log-contract.ts";

const LIMITS = { wait_ms_max: 300, partition_bytes_max: 64 * 1024 };
const recordsOf = (results: readonly FetchResult[]) =>
  results.flatMap((result) => ("batch" in result ? result.batch.records : []));

export function readContract({ harness, open }: ContractContext): void {
  test(
    "reading starts at any offset asked for",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("from");
      await log.createTopic(topic, 1);
      const producer = log.producer();
      await producer.append(topic, newRecords("a", 50));
      await producer.append(topic, newRecords("b", 50));
      const all = [...newRecords("a", 50), ...newRecords("b", 50)].map(({ value }) => String(value));
      for (const from of [0, 1, 49, 50, 51, 99]) expect(values(await readAll(log, topic, 0, from))).toEqual(all.slice(from));
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a batch says where it began, where to read on and where the partition ended",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("batch");
      await log.createTopic(topic, 1);
      await log.producer().append(topic, newRecords("a", 10));
      const [result] = await fetchSome(log, topic, new Map([[0, 4]]));
      const batch = batchOf(result!);
      expect([result!.partition, batch.partition, batch.baseOffset, batch.nextOffset, batch.endOffset]).toEqual([
        0, 0, 4, 10, 10,
      ]);
      expect(values(batch.records)).toEqual(["a-4", "a-5", "a-6", "a-7", "a-8", "a-9"]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "the ends of the partitions that are wanted are told as among all",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("ends");
      await log.createTopic(topic, 3);
      await log.producer().append(topic, newRecords("a", 2, { partition: 1 }));
      const { topicId, partitions } = await log.ends(topic);
      expect(partitions).toMatchObject([{ endOffset: 0 }, { endOffset: 2 }, { endOffset: 0 }]);
      for (const isolation of ["committed", "uncommitted"] as const) {
        const all = await log.endOffsets(topic, undefined, isolation);
        expect(all.topicId).toBe(topicId);
        const told = await Promise.all(all.partitions);
        expect(told).toMatchObject([{ endOffset: 0 }, { endOffset: 2 }, { endOffset: 0 }]);
        const wanted = await log.endOffsets(topic, new Set([1, 2]), isolation);
        expect(wanted.topicId).toBe(topicId);
        expect(await Promise.all(wanted.partitions.slice(1))).toEqual(told.slice(1));
      }
      expect((await log.endOffsets(harness.uniqueName("none"), undefined, "committed")).partitions).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "several partitions are read by one reader, each from its own offset; one not asked for stays out",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("several");
      await log.createTopic(topic, 4);
      const producer = log.producer();
      for (const partition of [0, 1, 2, 3]) await producer.append(topic, newRecords(`p${partition}`, 6, { partition }));
      const reader = log.reader(topic);
      const positions = new Map([
        [0, 2],
        [2, 0],
        [3, 6],
      ]);
      const seen: string[] = [];
      await eventually("all that was asked for", async () => {
        for (const result of await reader.fetch(positions, LIMITS)) {
          positions.set(result.partition, batchOf(result).nextOffset);
          seen.push(...values(batchOf(result).records));
        }
        return seen.length >= 10;
      });
      expect(seen.toSorted()).toEqual(["p0-2", "p0-3", "p0-4", "p0-5", "p2-0", "p2-1", "p2-2", "p2-3", "p2-4", "p2-5"]);
      await reader.close();
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "where only some partitions are to be read now, the others' records come with a later fetch",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("only");
      await log.createTopic(topic, 3);
      const producer = log.producer();
      for (const partition of [0, 1, 2]) await producer.append(topic, newRecords(`p${partition}`, 2, { partition }));
      const reader = log.reader(topic);
      const positions = new Map([0, 1, 2].map((partition) => [partition, 0]));
      const read = async (only?: ReadonlySet<number>): Promise<string[]> => {
        const results = await reader.fetch(positions, { ...LIMITS, ...(only && { only }) });
        for (const result of results) positions.set(result.partition, batchOf(result).nextOffset);
        return values(recordsOf(results));
      };
      const first: string[] = [];
      await eventually("the one partition", async () => first.push(...(await read(new Set([1])))) >= 2);
      expect(first).toEqual(["p1-0", "p1-1"]);
      const rest: string[] = [];
      await eventually("the others", async () => rest.push(...(await read())) >= 4);
      expect(rest.toSorted()).toEqual(["p0-0", "p0-1", "p2-0", "p2-1"]);
      await reader.close();
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a batch is bounded in bytes, yet has at least one record, and nothing is left out between batches",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("bounded");
      await log.createTopic(topic, 1);
      const producer = log.producer();
      const bytes = 20 * 1024;
      for (let count = 0; count < 12; count++) await producer.append(topic, [newRecord(Buffer.alloc(bytes, count))]);
      const reader = log.reader(topic);
      let position = 0;
      const seen: number[] = [];
      await eventually("12 records", async () => {
        for (const result of await reader.fetch(new Map([[0, position]]), {
          wait_ms_max: 1_000,
          partition_bytes_max: 3 * bytes,
        })) {
          const { records, nextOffset } = batchOf(result);
          expect(records.length).toBeLessThanOrEqual(4);
          seen.push(...records.map((record) => record.value![0]!));
          position = nextOffset;
        }
        return position >= 12;
      });
      expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
      const first = await eventually("a record larger than the bound", async () => {
        const found = recordsOf(await reader.fetch(new Map([[0, 5]]), { wait_ms_max: 1_000, partition_bytes_max: 100 }));
        return found.length > 0 && found;
      });
      expect([first[0]!.offset, first[0]!.value!.length]).toEqual([5, bytes]);
      await reader.close();
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "at the end a fetch waits, no longer than its bound, and comes back without records",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("end");
      await log.createTopic(topic, 2);
      await log.producer().append(topic, newRecords("a", 2));
      const reader = log.reader(topic);
      const positions = new Map([
        [0, 2],
        [1, 0],
      ]);
      const began_ms = performance.now();
      expect(recordsOf(await reader.fetch(positions, LIMITS))).toEqual([]);
      expect(performance.now() - began_ms).toBeLessThan(10_000);
      await reader.close();
    },
    TEST_TIMEOUT_MS,
  );

  for (const who of ["the same handle", "another handle"] as const) {
    test(
      `a fetch that waits is woken by an append through ${who}, before its bound`,
      async () => {
        const log = await open();
        const topic = harness.uniqueName("woken");
        await log.createTopic(topic, 2);
        const producer = (who === "the same handle" ? log : await open()).producer();
        const reader = log.reader(topic);
        const positions = new Map([
          [0, 0],
          [1, 0],
        ]);
        for (let round = 0; round < 3; round++) {
          const began_ms = performance.now();
          const fetched = eventually("the record", async () => {
            const found = recordsOf(await reader.fetch(positions, { ...LIMITS, wait_ms_max: 30_000 }));
            return found.length > 0 && found;
          });
          await Bun.sleep(100);
          await producer.append(topic, [newRecord(`woken-${round}`, { partition: 1 })]);
          expect(values(await fetched)).toEqual([`woken-${round}`]);
          expect(performance.now() - began_ms).toBeLessThan(10_000);
          positions.set(1, round + 1);
        }
        await reader.close();
      },
      TEST_TIMEOUT_MS,
    );
  }

  test(
    "readers that never stop see everything, once and in order, while it is appended",
    async () => {
      const log = await open();
      const other = await open();
      const topic = harness.uniqueName("following");
      await log.createTopic(topic, 1);
      const count = 300;
      const follow = async (from: typeof log): Promise<string[]> => {
        const reader = from.reader(topic);
        const seen: string[] = [];
        let position = 0;
        await eventually("all records", async () => {
          for (const result of await reader.fetch(new Map([[0, position]]), LIMITS)) {
            // A broker may not have heard yet who leads a new partition.
            if ("unavailable" in result) continue;
            position = batchOf(result).nextOffset;
            seen.push(...values(batchOf(result).records));
          }
          return seen.length >= count;
        });
        await reader.close();
        return seen;
      };
      const followed = Promise.all([follow(log), follow(other)]);
      const producer = log.producer();
      for (let each = 0; each < count; each += 3) {
        await producer.append(topic, [newRecord(`${each}`), newRecord(`${each + 1}`), newRecord(`${each + 2}`)]);
      }
      const expected = Array.from({ length: count }, (_, each) => `${each}`);
      expect(await followed).toEqual([expected, expected]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "outside the partition's range the reader says so; at its very end it does not",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("range");
      await log.createTopic(topic, 2);
      await log.producer().append(topic, newRecords("a", 10));
      await log.deleteRecords(topic, 0, 4);
      expect((await log.watermarks(topic))[0]).toEqual({ startOffset: 4, endOffset: 10 });
      const outOfRange = { startOffset: 4, endOffset: 10 };
      expect(await fetchSome(log, topic, new Map([[0, 3]]))).toEqual([{ partition: 0, outOfRange }]);
      expect(await fetchSome(log, topic, new Map([[0, 0]]))).toEqual([{ partition: 0, outOfRange }]);
      expect(await fetchSome(log, topic, new Map([[0, 11]]))).toEqual([{ partition: 0, outOfRange }]);
      expect(values(await readAll(log, topic, 0, 4))).toEqual(["a-4", "a-5", "a-6", "a-7", "a-8", "a-9"]);
      const reader = log.reader(topic);
      const atEnd = await reader.fetch(new Map([[0, 10]]), LIMITS);
      expect(atEnd.filter((result) => "outOfRange" in result)).toEqual([]);
      expect(recordsOf(atEnd)).toEqual([]);
      const empty = await reader.fetch(new Map([[1, 1]]), { ...LIMITS, wait_ms_max: 5_000 });
      expect(empty).toEqual([{ partition: 1, outOfRange: { startOffset: 0, endOffset: 0 } }]);
      await reader.close();
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "deleteRecords up to the end empties the partition and keeps its offsets; below the start it changes nothing",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("deleted");
      await log.createTopic(topic, 1);
      const producer = log.producer();
      await producer.append(topic, newRecords("a", 5));
      await log.deleteRecords(topic, 0, 5);
      await log.deleteRecords(topic, 0, 2);
      expect(await log.watermarks(topic)).toEqual([{ startOffset: 5, endOffset: 5 }]);
      expect(await producer.append(topic, newRecords("b", 1))).toEqual([5]);
      expect(values(await readAll(log, topic))).toEqual(["b-0"]);
      await rejection(log.deleteRecords(topic, 0, 99));
      expect(await log.watermarks(topic)).toEqual([{ startOffset: 5, endOffset: 6 }]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "closing the log ends a fetch that waits",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("closing");
      await log.createTopic(topic, 1);
      const began_ms = performance.now();
      const fetched = log
        .reader(topic)
        .fetch(new Map([[0, 0]]), { ...LIMITS, wait_ms_max: 30_000 })
        .then(
          (results) => expect(recordsOf(results)).toEqual([]),
          (error: unknown) => expect(error).toMatchObject({ code: "LOG_UNAVAILABLE" }),
        );
      await Bun.sleep(200);
      await log.close();
      await fetched;
      expect(performance.now() - began_ms).toBeLessThan(15_000);
    },
    TEST_TIMEOUT_MS,
  );
}
