import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { ComparingReader } from "../../../src/log/read/comparing-reader.ts";
import type { NewRecord } from "../../../src/log/port.ts";
import { MemoryBroker } from "../memory/memory-log.ts";

const TOPIC = "t";
const LIMITS = { wait_ms_max: 5, partition_bytes_max: 1024 };

const record = (value: string, partition = 0): NewRecord => ({ partition, key: "k", value, headers: [], timestamp_ms: 1 });

async function opened(partitions = 1) {
  const broker = new MemoryBroker({ clock: systemClock, newUuid: () => crypto.randomUUID() });
  const log = broker.connect("test");
  await log.createTopic(TOPIC, partitions);
  const append = (...records: NewRecord[]) => log.producer().append(TOPIC, records);
  const reader = new ComparingReader(log, { name: TOPIC, topicId: (await log.ends(TOPIC)).topicId });
  /** Reads from `from` on until it has `count` values, in a bounded number of fetches. */
  const read = async (from: number, count: number, partition = 0): Promise<string[]> => {
    const values: string[] = [];
    for (let tries = 0, at = from; values.length < count && tries < 20; tries++) {
      for (const result of await reader.fetch(new Map([[partition, at]]), LIMITS)) {
        if (!("batch" in result)) throw new Error(JSON.stringify(result));
        values.push(...result.batch.records.map(({ value }) => String(value)));
        at = result.batch.nextOffset;
      }
    }
    return values;
  };
  return { broker, log, append, reader, read };
}

describe("reading through interruptions", () => {
  test("a new leader that has the same goes on behind what was given, with nothing twice", async () => {
    const { broker, append, read } = await opened();
    await append(record("a"), record("b"));
    expect(await read(0, 2)).toEqual(["a", "b"]);
    broker.topics.elect(TOPIC, 0);
    await append(record("c"));
    expect(await read(2, 1)).toEqual(["c"]);
    broker.topics.elect(TOPIC, 0);
    await append(record("d"), record("e"));
    expect(await read(3, 2)).toEqual(["d", "e"]);
  });

  test.each([
    ["another record", ["x", "y"]],
    ["the same bytes, written again under the new leader", ["b", "c"]],
  ])("a leader that lost the tail and has %s in its place is found out", async (_, written) => {
    const { broker, append, read } = await opened();
    await append(record("a"), record("b"));
    expect(await read(0, 2)).toEqual(["a", "b"]);
    broker.topics.elect(TOPIC, 0, 1);
    await append(...written.map((value) => record(value)));
    await expect(read(2, 1)).rejects.toMatchObject({
      code: "LOG_DISAGREES",
      message: expect.stringContaining("Partition 0 of t changed while it was read: it has another record at offset 1"),
    });
  });

  describe("what was passed over", () => {
    /** A reader that returned `count` records, after which its caller went on over an aborted transaction of two. */
    async function passedOver(count: number) {
      const opening = await opened();
      const { append, broker, reader, read } = opening;
      if (count > 0) await append(...["a", "b"].slice(0, count).map((value) => record(value)));
      await read(0, count);
      broker.topics.openTransaction(TOPIC, [record("t"), record("u")]).end(false);
      for (let at = count; at < count + 3;) {
        for (const result of await reader.fetch(new Map([[0, at]]), LIMITS)) if ("batch" in result) at = result.batch.nextOffset;
      }
      return opening;
    }

    test.each([0, 1, 2])("is no hindrance where it still is there, behind %d records", async (count) => {
      const { broker, append, read } = await passedOver(count);
      broker.topics.elect(TOPIC, 0);
      await append(record("c"));
      expect(await read(count + 3, 1)).toEqual(["c"]);
    });

    test.each([0, 1, 2])("and is other records now, behind %d, is found out", async (count) => {
      const { broker, append, read } = await passedOver(count);
      broker.topics.elect(TOPIC, 0, count);
      await append(...["v", "w", "x", "y"].map((value) => record(value)));
      await expect(read(count + 3, 1)).rejects.toMatchObject({
        code: "LOG_DISAGREES",
        message: expect.stringContaining(`it has a record at offset ${count} and had none`),
      });
    });

    test("is looked at up to where the caller reads on, in as many fetches as it takes", async () => {
      const { broker, append, read } = await passedOver(1);
      broker.topics.elect(TOPIC, 0, 1);
      // The last of the three offsets has another record than before, which is not read together with the first.
      broker.topics.openTransaction(TOPIC, [record("v")]).end(false);
      await append(record("w".repeat(LIMITS.partition_bytes_max)), record("x"));
      await expect(read(4, 1)).rejects.toMatchObject({
        code: "LOG_DISAGREES",
        message: expect.stringContaining("it has a record at offset 3 and had none"),
      });
    });
  });

  test("a log that ends before what was given is found out", async () => {
    const { broker, append, read } = await opened();
    await append(record("a"), record("b"), record("c"));
    expect(await read(0, 3)).toEqual(["a", "b", "c"]);
    broker.topics.elect(TOPIC, 0, 1);
    await expect(read(3, 1)).rejects.toMatchObject({
      code: "LOG_DISAGREES",
      message: expect.stringContaining("ends at offset 1"),
    });
  });

  test("a topic made anew is another one, also where it has the very same records", async () => {
    const { broker, log, append, read } = await opened();
    await append(record("a"), record("b"));
    expect(await read(0, 1)).toEqual(["a", "b"]);
    broker.topics.deleteTopic(TOPIC);
    await log.createTopic(TOPIC, 1);
    await append(record("a"), record("b"), record("c"));
    await expect(read(2, 1)).rejects.toMatchObject({ code: "LOG_DISAGREES", message: expect.stringContaining("made anew") });
  });

  test("a topic that is gone is waited for", async () => {
    const { broker, append, reader, read } = await opened();
    await append(record("a"));
    expect(await read(0, 1)).toEqual(["a"]);
    broker.topics.deleteTopic(TOPIC);
    expect(await reader.fetch(new Map([[0, 1]]), LIMITS)).toEqual([]);
    await expect(reader.fetch(new Map([[0, 1]]), LIMITS)).rejects.toMatchObject({ code: "LOG_UNAVAILABLE" });
  });

  test("who left a part of what was given unused reads on there, and the whole is compared all the same", async () => {
    const { broker, append, read } = await opened();
    await append(...["a", "b", "c", "d"].map((value) => record(value)));
    expect(await read(0, 4)).toEqual(["a", "b", "c", "d"]);
    broker.topics.elect(TOPIC, 0);
    expect(await read(2, 2)).toEqual(["c", "d"]);
    broker.topics.elect(TOPIC, 0, 3);
    await append(record("x"));
    await expect(read(2, 2)).rejects.toMatchObject({ code: "LOG_DISAGREES" });
  });

  test("one partition's interruption holds up no other for longer than the question which topic it is", async () => {
    const { broker, append, read } = await opened(2);
    await append(record("a"), record("b", 1), record("c", 1));
    expect([await read(0, 1), await read(0, 1, 1)]).toEqual([["a"], ["b", "c"]]);
    broker.topics.elect(TOPIC, 0);
    await append(record("d", 1));
    expect(await read(2, 1, 1)).toEqual(["d"]);
  });

  test("a batch that cannot be decoded is compared as a whole", async () => {
    const { broker, append, read } = await opened();
    broker.topics.landUndecodable(TOPIC, 0, 3, "It is none.");
    await append(record("a"));
    expect(await read(0, 2)).toEqual(["null", "a"]);
    broker.topics.elect(TOPIC, 0);
    await append(record("b"));
    expect(await read(4, 1)).toEqual(["b"]);
  });
});
