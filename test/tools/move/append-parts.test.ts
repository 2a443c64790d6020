import { expect, test } from "bun:test";
import fc from "fast-check";
import { AppError } from "../../../src/errors.ts";
import { BatchOutput, encodeBatch } from "../../../src/log/kafka/records/encode-batch.ts";
import type { NewRecord } from "../../../src/log/port.ts";
import { appendPart, type Outgoing, parts } from "../../../src/tools/move/append-parts.ts";

const outgoing = (n: number, value: string): Outgoing => ({
  from: { partition: 0, offset: n },
  record: { partition: 0, key: "ORD-1", value, headers: [["ünï", value.slice(0, 3)]], timestamp_ms: n },
});
const encoded = (records: readonly NewRecord[]): number =>
  encodeBatch(records, { producerId: 1, producerEpoch: 0, sequence: 0, transactional: true }, new BatchOutput()).length;
const some = fc.array(fc.string({ unit: "grapheme", maxLength: 300 }), { minLength: 1, maxLength: 60 });

test("parts have all records in order, and none is larger as it is encoded than it may be, unless one record alone is", async () => {
  await fc.assert(
    fc.asyncProperty(some, fc.integer({ min: 300, max: 3_000 }), async (values, bytes_max) => {
      const all = values.map((value, n) => outgoing(n, value));
      const cut = await Array.fromAsync(parts(all, 50, bytes_max));
      expect(cut.flat()).toEqual(all);
      for (const part of cut) {
        expect(part.length).toBeLessThanOrEqual(50);
        if (part.length > 1) expect(encoded(part.map(({ record }) => record))).toBeLessThanOrEqual(bytes_max);
      }
    }),
  );
});

test("a part that is refused as too large goes in halves, in order; the one record that never goes is named", async () => {
  await fc.assert(
    fc.asyncProperty(some, fc.integer({ min: 100, max: 1_000 }), async (values, bytes_max) => {
      const all = values.map((value, n) => outgoing(n, value));
      const landed: NewRecord[] = [];
      const append = async (records: readonly NewRecord[]) => {
        if (encoded(records) > bytes_max) throw new AppError("EVENT_TOO_LARGE", "It is too large.");
        landed.push(...records);
      };
      const records = all.map(({ record }) => record);
      const tooLarge = records.findIndex((record) => encoded([record]) > bytes_max);
      if (tooLarge < 0) await appendPart(append, "t", all);
      else {
        await expect(appendPart(append, "t", all)).rejects.toMatchObject({
          code: "EVENT_TOO_LARGE",
          message: expect.stringContaining(`The record at 0:${tooLarge} takes up to`),
        });
      }
      expect(landed).toEqual(tooLarge < 0 ? records : records.slice(0, tooLarge));
    }),
  );
});
