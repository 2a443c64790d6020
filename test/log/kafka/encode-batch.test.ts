import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BatchOutput, encodeBatch } from "../../../src/log/kafka/records/encode-batch.ts";
import { decodeBatches } from "../../../src/log/kafka/records/record-batch.ts";
import type { NewRecord } from "../../../src/log/port.ts";
import { recordsOf } from "../../../src/log/record-block.ts";
import { timestampOf } from "../../../src/log/timestamp.ts";

const producer = { producerId: 7, producerEpoch: 1, sequence: 0, transactional: false };

const text = fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), fc.string({ maxLength: 200 }));
const bytesOrText = fc.oneof(text, fc.uint8Array({ maxLength: 300 }), fc.constant(null));
const record: fc.Arbitrary<NewRecord> = fc.record({
  partition: fc.constant(0),
  key: bytesOrText,
  value: bytesOrText,
  headers: fc.array(fc.tuple(fc.string({ maxLength: 80 }), bytesOrText), { maxLength: 70 }),
  timestamp_ms: fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 4_000_000_000_000 }) },
    // Some programs stamp in nanoseconds, and the log keeps any 64 bits.
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(timestampOf),
    fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n).map(timestampOf),
  ),
});

const asBytes = (part: string | Uint8Array | null) => (part === null ? null : Buffer.from(part as Uint8Array));

describe("a record batch", () => {
  test("decodes to what was encoded, whatever the text and however many batches share an output", () => {
    const output = new BatchOutput();
    fc.assert(
      fc.property(fc.array(fc.array(record, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 }), (batches) => {
        output.clear();
        const encoded = batches.map((records) => encodeBatch(records, producer, output));
        for (const [i, records] of batches.entries()) {
          const decoded = recordsOf(decodeBatches(Buffer.from(encoded[i] as Buffer), 0, []).blocks);
          expect(decoded.map(({ timestamp_ms, key, value }) => ({ timestamp_ms, key, value }))).toEqual(
            records.map(({ timestamp_ms, key, value }) => ({ timestamp_ms, key: asBytes(key), value: asBytes(value) })),
          );
          expect(decoded.map((r) => r.headers().map(([name, value]) => [name, value]))).toEqual(
            records.map((r) => r.headers.map(([name, value]) => [name, asBytes(value)])),
          );
        }
      }),
    );
  });

  test("keeps any number of headers, also where each is short", () => {
    for (const count of [0, 1, 63, 64, 65, 200]) {
      const headers = Array.from({ length: count }, (_, n) => [`h${n}`, `${n}`] as const);
      const records = [{ partition: 0, key: "k", value: "v", headers, timestamp_ms: 0 }];
      const [decoded] = recordsOf(decodeBatches(Buffer.from(encodeBatch(records, producer, new BatchOutput())), 0, []).blocks);
      expect(decoded?.headers().map(([name, value]) => [name, value?.toString()])).toEqual(headers.map((header) => [...header]));
    }
  });

  test("keeps text beyond ASCII that just does not fit into what the output holds", () => {
    const header = ["name", "äx"] as const;
    for (let length = 65_300; length < 65_560; length++) {
      const records = [{ partition: 0, key: "k", value: "x".repeat(length), headers: [header], timestamp_ms: 0 }];
      const [decoded] = recordsOf(decodeBatches(Buffer.from(encodeBatch(records, producer, new BatchOutput())), 0, []).blocks);
      expect(decoded?.headers().map(([name, value]) => [name, value?.toString()])).toEqual([[...header]]);
    }
  });
});
