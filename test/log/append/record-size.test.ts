import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeBatch, BatchOutput } from "../../../src/log/kafka/records/encode-batch.ts";
import type { NewRecord } from "../../../src/log/port.ts";
import { BATCH_HEAD_BYTES, encodedBytes, IN_BATCH_EXTRA_BYTES } from "../../../src/log/append/record-size.ts";
import { appenderOn, HeldProducer, messageOf, record, soon } from "./held-producer.ts";

describe("sizes are the encoded bytes", () => {
  const text = fc.string({ unit: "binary", maxLength: 80 });
  const bytes = fc.oneof(text, fc.uint8Array({ maxLength: 300 }), fc.constant(null));
  const name = fc.string({ unit: "grapheme-ascii", maxLength: 70 });
  const anyRecord = fc.record({ key: bytes, value: bytes, headers: fc.array(fc.tuple(name, bytes), { maxLength: 4 }) });

  test("of a record alone exactly what Kafka's encoding takes, of many no more than is counted for them", () => {
    const producer = { producerId: 1, producerEpoch: 0, sequence: 0, transactional: false };
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 20 }), fc.nat(2 ** 31), (parts, ms) => {
        const records = parts.map((part, i): NewRecord => ({ ...part, partition: 0, timestamp_ms: i % 2 === 0 ? 0 : ms }));
        const alone = encodeBatch(records.slice(0, 1), producer, new BatchOutput()).length;
        expect(BATCH_HEAD_BYTES + encodedBytes(records[0]!)).toBe(alone);
        const counted = records.reduce((sum, each) => sum + encodedBytes(each) + IN_BATCH_EXTRA_BYTES, BATCH_HEAD_BYTES);
        expect(encodeBatch(records, producer, new BatchOutput()).length).toBeLessThanOrEqual(counted);
      }),
    );
  });

  test("text beyond ASCII fills a batch by its bytes", async () => {
    const producer = new HeldProducer();
    producer.batch_bytes_max = 1_000;
    const appender = appenderOn(producer, { batch_records_max: 100 });
    const appended = Array.from({ length: 6 }, () => appender.append(record("漢".repeat(100)), soon(5_000)));
    for (let i = 0; i < 3; i++) {
      const send = await producer.next();
      expect(send.values).toHaveLength(2);
      send.settle();
    }
    await Promise.all(appended);
  });

  test("a record that is larger than batches may be goes alone: the log says whether it takes it", async () => {
    const producer = new HeldProducer();
    producer.batch_bytes_max = 400;
    const appender = appenderOn(producer);
    const appended = ["a", "漢".repeat(200), "b"].map((value) => appender.append(record(value), soon(5_000)));
    for (const values of [["a"], ["漢".repeat(200)], ["b"]]) {
      const send = await producer.next();
      expect(send.values).toEqual(values);
      send.settle();
    }
    await Promise.all(appended);
  });

  test("one that no reader takes is refused before it is sent, with both sizes", async () => {
    const producer = new HeldProducer();
    const refused: string[] = [];
    const appender = appenderOn(producer, { value_bytes_max: 300, onNotTaken: ({ code }) => refused.push(code) });
    expect(await messageOf(appender.append(record("漢".repeat(101)), soon(5_000)))).toMatch(
      /has 303 bytes.* more than 300; it was not/,
    );
    expect(refused).toEqual(["EVENT_TOO_LARGE"]);
    const fits = appender.append(record("漢".repeat(100)), soon(5_000));
    (await producer.next()).settle();
    expect((await fits).offset).toBe(0);
  });
});
