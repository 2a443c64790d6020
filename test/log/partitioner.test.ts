import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
// @ts-expect-error kafkajs has no types for it. It is the implementation whose placement must be matched.
import kafkajsMurmur2 from "kafkajs/src/producer/partitioners/default/murmur2.js";
import { partitionFor } from "../../src/log/partitioner.ts";

const murmur2: (key: string) => number = kafkajsMurmur2;

const crc32BitByBit = (bytes: Uint8Array) => {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
};

/** Entries of the table with which librdkafka tests its partitioners (tests/0048-partitioner.c). */
const librdkafka = [
  { key: "23456", crc32: 0xb1b451d7, murmur2: 0x058d780f },
  { key: "this is another string with more length to it perhaps", crc32: 0xb0150df7, murmur2: 0x4f7703da },
  { key: "hejsan", crc32: 0xd077037e, murmur2: 0x5ec19395 },
];

describe("murmur2", () => {
  test("places every key where kafkajs does", () => {
    const key = fc.oneof(
      fc.string({ unit: "binary", minLength: 1 }),
      fc.nat().map((n) => `ORD-${n}`),
    );
    fc.assert(
      fc.property(key, fc.integer({ min: 1, max: 1_000 }), (k, count) => {
        expect(partitionFor("murmur2", k, count)).toBe((murmur2(k) & 0x7fffffff) % count);
      }),
      { numRuns: 600 },
    );
  });

  test.each(librdkafka)("places $key where librdkafka and Java do", ({ key, murmur2: hash }) => {
    expect([1, 7, 12, 17].map((count) => partitionFor("murmur2", key, count))).toEqual(
      [1, 7, 12, 17].map((count) => hash % count),
    );
  });
});

describe("crc32", () => {
  test("is the check value of the CRC catalogue, unsigned", () => {
    expect(partitionFor("crc32", "123456789", 2 ** 32)).toBe(0xcbf43926);
    expect(partitionFor("crc32", "123456789", 12)).toBe(0xcbf43926 % 12);
  });

  test.each(librdkafka)("places $key where librdkafka does", ({ key, crc32: hash }) => {
    expect([1, 7, 12, 17].map((count) => partitionFor("crc32", key, count))).toEqual([1, 7, 12, 17].map((count) => hash % count));
  });

  test("agrees with the polynomial worked bit by bit, also over UTF-8", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), fc.integer({ min: 1, max: 1_000 }), (k, count) => {
        expect(partitionFor("crc32", k, count)).toBe(crc32BitByBit(new TextEncoder().encode(k)) % count);
      }),
    );
  });
});
