import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { crc32c } from "../../../src/log/kafka/records/crc32c.ts";

const bitByBit = (bytes: Uint8Array): number => {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
};

describe("CRC-32C", () => {
  test("gives the values of RFC 3720, appendix B.4", () => {
    expect(crc32c(new Uint8Array(32), 0)).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff), 0)).toBe(0x62a8ab43);
    expect(
      crc32c(
        Uint8Array.from({ length: 32 }, (_, n) => n),
        0,
      ),
    ).toBe(0x46dd794e);
    expect(
      crc32c(
        Uint8Array.from({ length: 32 }, (_, n) => 31 - n),
        0,
      ),
    ).toBe(0x113fdb5c);
  });

  test("is the same as bit by bit, for any bytes from any place on", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (bytes, from) => {
        expect(crc32c(bytes, from)).toBe(bitByBit(bytes.subarray(from)));
      }),
    );
  });
});
