import { expect, test } from "bun:test";
import fc from "fast-check";
import { BatchOutput, encodeBatch } from "../../src/log/kafka/records/encode-batch.ts";
import { decodeName, encodeName } from "../../src/log/header-names.ts";
import { decodeHeaders, encodeHeaders } from "../../src/log/sqlite/sqlite-headers.ts";

test("any bytes of a name are read and written again as they were, and UTF-8 as its text", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => expect(encodeName(decodeName(Buffer.from(bytes)))).toEqual(Buffer.from(bytes))),
  );
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => expect(decodeName(Buffer.from(text))).toBe(text)));
  for (const text of ["\ufffd", "a\ufffdb"]) expect(encodeName(decodeName(Buffer.from(text)))).toEqual(Buffer.from(text));
});

test("also through JSON, as archives have names, and in what the embedded log and Kafka are given", () => {
  const bytes = Buffer.from([0x6e, 0xff, 0xfe, 0x80]);
  const name = JSON.parse(JSON.stringify(decodeName(bytes))) as string;
  const producer = { producerId: 7, producerEpoch: 1, sequence: 0, transactional: false };
  const record = { partition: 0, key: "k", value: "v", headers: [[name, "1"]] as const, timestamp_ms: 0 };
  const embedded = encodeHeaders(record.headers);
  expect(embedded?.includes(bytes)).toBe(true);
  expect(decodeHeaders(embedded).map(([one]) => one)).toEqual([name]);
  expect(encodeBatch([record], producer, new BatchOutput()).includes(bytes)).toBe(true);
});
