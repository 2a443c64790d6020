import { expect, test } from "bun:test";
import type { Log, TopicDescription } from "../../../src/log/port.ts";
import { batchOf, eventually, fetchOn, newRecord, newRecords, readAll, rejection, TEST_TIMEOUT_MS, values } from "./harness.ts";
import type { ContractContext } from "./log-contract.ts";

/** What the handle knows of the topic, once it knows it. */
const described = (log: Log, topic: string): Promise<TopicDescription> =>
  eventually(`${topic} to be known`, () => log.describe(topic));

export function topicContract({ harness, open, closeAll }: ContractContext): void {
  test(
    "a topic that does not exist has no partitions",
    async () => {
      expect(await (await open()).partitionCount(harness.uniqueName("unknown"))).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "an append to a topic that does not exist is refused, and leaves nothing",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("unknown");
      expect(await rejection(log.producer().append(topic, newRecords("a", 1)))).toMatchObject({ code: "LOG_UNAVAILABLE" });
      expect(await log.partitionCount(topic)).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "createTopic raced by 8 handles makes one topic; again with another count, it is taken as it is",
    async () => {
      const handles = await Promise.all(Array.from({ length: 8 }, open));
      const topic = harness.uniqueName("raced");
      const created = await Promise.all(handles.map((log) => log.createTopic(topic, 3)));
      expect(created.flatMap((each) => each ?? []).map(({ partitions }) => partitions)).toEqual([3]);
      for (const log of handles) await eventually("3 partitions", async () => (await log.partitionCount(topic)) === 3);
      await handles[0]!.producer().append(topic, newRecords("a", 2));
      expect(await handles[1]!.createTopic(topic, 5)).toBeUndefined();
      expect(await handles[2]!.partitionCount(topic)).toBe(3);
      expect(values(await readAll(handles[3]!, topic))).toEqual(["a-0", "a-1"]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "addPartitions grows a topic and keeps what it has; fewer or as many change nothing",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("grown");
      await log.createTopic(topic, 2);
      await log.producer().append(topic, newRecords("a", 2, { partition: 1 }));
      await log.addPartitions(topic, 4);
      await log.addPartitions(topic, 3);
      await log.addPartitions(topic, 4);
      const other = await open();
      await eventually("4 partitions", async () => (await other.partitionCount(topic)) === 4);
      const producer = other.producer();
      await eventually("an append to the new partition", () =>
        producer.append(topic, newRecords("b", 1, { partition: 3 })).catch(() => undefined),
      );
      expect(values(await readAll(log, topic, 1))).toEqual(["a-0", "a-1"]);
      expect(values(await readAll(log, topic, 3))).toEqual(["b-0"]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "watermarks are those of each partition, empty ones too, and count what was acknowledged before",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("watermarks");
      await log.createTopic(topic, 3);
      await log.producer().append(topic, [...newRecords("a", 2, { partition: 2 }), ...newRecords("b", 5, { partition: 0 })]);
      expect(await (await open()).watermarks(topic)).toEqual([
        { startOffset: 0, endOffset: 5 },
        { startOffset: 0, endOffset: 0 },
        { startOffset: 0, endOffset: 2 },
      ]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "describe tells a topic's partitions and what was set at its creation, alike to every handle; nothing of one that does not exist",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("described");
      expect(await log.describe(topic)).toBeUndefined();
      const created = await log.createTopic(topic, 3, { record_bytes_max: 5_000 });
      expect(created).toMatchObject({
        partitions: 3,
        settings: harness.capabilities.boundsBatches ? { "max.message.bytes": "5000" } : {},
      });
      const [one, other] = await Promise.all([log, await open()].map((handle) => described(handle, topic)));
      expect(one).toMatchObject(created!);
      expect(other).toEqual(one);
      await log.addPartitions(topic, 4);
      await eventually("4 partitions", async () => (await described(log, topic)).partitions === 4);
      expect((await described(log, topic)).topicId).toBe(one!.topicId);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "ends are each partition's own: what it has and where a reader gets to; none of a topic that does not exist",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("ends");
      expect((await log.ends(topic)).partitions).toEqual([]);
      await log.createTopic(topic, 2);
      await log.producer().append(topic, newRecords("a", 3, { partition: 1 }));
      await log.deleteRecords(topic, 1, 1);
      const { topicId, partitions } = await (await open()).ends(topic);
      expect(topicId).toBe((await described(log, topic)).topicId);
      expect(partitions).toMatchObject([
        { startOffset: 0, endOffset: 0, stableOffset: 0 },
        { startOffset: 1, endOffset: 3, stableOffset: 3 },
      ]);
      const [first] = await readAll(log, topic, 1);
      expect(partitions[1]).toMatchObject({ leaderEpoch: first!.leaderEpoch });
    },
    TEST_TIMEOUT_MS,
  );

  const { deleteTopic } = harness;
  if (deleteTopic === undefined) {
    test.skip("topics made anew: skipped, this harness cannot delete a topic", () => {});
  } else {
    test(
      "that a topic is gone is told of all partitions, also where only one is to be read now",
      async () => {
        const log = await open();
        const topic = harness.uniqueName("gone");
        await log.createTopic(topic, 2);
        const reader = log.reader(topic);
        const positions = new Map([0, 1].map((partition) => [partition, 0]));
        const limits = { wait_ms_max: 100, partition_bytes_max: 1_000, only: new Set([1]) };
        await reader.fetch(positions, limits);
        await deleteTopic(topic);
        await eventually("the topic to be gone", async () => (await log.describe(topic)) === undefined);
        const told = new Set<number>();
        await eventually("what both have to tell", async () => {
          for (const result of await reader.fetch(positions, limits)) if ("interrupted" in result) told.add(result.partition);
          return told.size === 2;
        });
        await reader.close();
      },
      TEST_TIMEOUT_MS,
    );

    test(
      "a topic made anew under its name has another id, and a reader of the old one is told before it gets anything of the new one",
      async () => {
        const log = await open();
        const topic = harness.uniqueName("remade");
        await log.createTopic(topic, 1);
        await log.producer().append(topic, newRecords("old", 2));
        const { topicId } = await described(log, topic);
        expect(topicId).toBeDefined();
        const reader = log.reader(topic);
        await fetchOn(reader, new Map([[0, 0]]));
        await deleteTopic(topic);
        await eventually("the topic to be gone", async () => (await log.describe(topic)) === undefined);
        const gone = await fetchOn(reader, new Map([[0, 2]]));
        expect(gone).toMatchObject([{ partition: 0, interrupted: expect.any(String), isGone: true }]);
        await eventually("the topic anew", async () => (await log.createTopic(topic, 1)) !== undefined);
        const other = await open();
        await other.producer().append(topic, newRecords("new", 3));
        const again = await eventually("the new topic's records", async () =>
          (await fetchOn(reader, new Map([[0, 2]]))).find((result) => "batch" in result),
        );
        expect(values(batchOf(again).records)).toEqual(["new-2"]);
        const anew = await described(other, topic);
        expect(anew.topicId).not.toBe(topicId);
        expect((await log.ends(topic)).topicId).toBe(anew.topicId);
        await reader.close();
      },
      TEST_TIMEOUT_MS,
    );
  }

  test(
    "offsetsAt finds the first record at or after a time, also where later ones are older; the end where there is none",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("times");
      await log.createTopic(topic, 3);
      const producer = log.producer();
      // The records lie in several batches, because a broker looks for the batch first.
      for (const times of [[1_000, 3_000], [2_000, 2_500], [5_000], [4_000]]) {
        const records = times.map((timestamp_ms) => newRecord("a", { timestamp_ms, partition: 1 }));
        await producer.append(topic, [...records, newRecord("b", { timestamp_ms: 7_000, partition: 2 })]);
      }
      await log.deleteRecords(topic, 2, 2);
      const other = await open();
      expect(await other.offsetsAt(topic, 0)).toEqual([0, 0, 2]);
      expect(await other.offsetsAt(topic, 1_000)).toEqual([0, 0, 2]);
      expect(await other.offsetsAt(topic, 1_001)).toEqual([0, 1, 2]);
      expect(await other.offsetsAt(topic, 3_001)).toEqual([0, 4, 2]);
      expect(await other.offsetsAt(topic, 7_000)).toEqual([0, 6, 2]);
      expect(await other.offsetsAt(topic, 7_001)).toEqual([0, 6, 4]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "the log's id is the same for every handle",
    async () => {
      const id = await (await open()).id();
      expect(id.length).toBeGreaterThan(8);
      expect(await (await open()).id()).toBe(id);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "close is idempotent; a closed log says that it is unavailable",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("closed");
      await log.createTopic(topic, 1);
      const producer = log.producer();
      await log.close();
      await log.close();
      expect(await rejection(log.watermarks(topic))).toMatchObject({ code: "LOG_UNAVAILABLE" });
      expect(await rejection(producer.append(topic, newRecords("a", 1)))).toMatchObject({ code: "LOG_UNAVAILABLE" });
    },
    TEST_TIMEOUT_MS,
  );

  const { restart } = harness;
  if (restart === undefined) {
    test.skip("restart: skipped, this harness cannot restart the log", () => {});
  } else {
    test(
      "after a restart everything is there: id, topic, records, start; and appends go on behind them",
      async () => {
        const log = await open();
        const id = await log.id();
        const topic = harness.uniqueName("restarted");
        await log.createTopic(topic, 2);
        await log.producer().append(topic, newRecords("a", 10, { partition: 1 }));
        await log.deleteRecords(topic, 1, 4);
        await closeAll();
        await restart();
        const again = await open();
        expect(await again.id()).toBe(id);
        expect(await again.watermarks(topic)).toEqual([
          { startOffset: 0, endOffset: 0 },
          { startOffset: 4, endOffset: 10 },
        ]);
        expect(await again.producer().append(topic, newRecords("b", 1, { partition: 1 }))).toEqual([10]);
        expect(values(await readAll(again, topic, 1))).toEqual(["a-4", "a-5", "a-6", "a-7", "a-8", "a-9", "b-0"]);
      },
      TEST_TIMEOUT_MS,
    );
  }
}
