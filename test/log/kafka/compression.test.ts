import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { compressFrameSync } from "lz4-napi";
import { compressSync } from "snappy";
import { CannotUnpack, decompress, UNPACKED_BYTES_MAX } from "../../../src/log/kafka/records/compression.ts";

const CODECS = [
  ["gzip", 1, (bytes: Buffer) => gzipSync(bytes)],
  ["snappy", 2, (bytes: Buffer) => compressSync(bytes)],
  ["snappy in blocks", 2, (bytes: Buffer) => xerial(bytes)],
  ["lz4", 3, (bytes: Buffer) => compressFrameSync(bytes)],
  ["zstd", 4, (bytes: Buffer) => zstdCompressSync(bytes)],
] as const;

/** Snappy in the framing of Java's client. */
function xerial(bytes: Buffer): Buffer {
  const blocks: Buffer[] = [Buffer.from("82534e41505059000000000100000001", "hex")];
  for (let at = 0; at < bytes.length; at += 32_768) {
    const block = compressSync(bytes.subarray(at, at + 32_768));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    blocks.push(length, block);
  }
  return Buffer.concat(blocks);
}

const why = (unpack: () => unknown): string => {
  try {
    unpack();
  } catch (e) {
    expect(e).toBeInstanceOf(CannotUnpack);
    return (e as Error).message;
  }
  return "it was unpacked";
};

const TOO_LARGE = `it unpacks to more than ${UNPACKED_BYTES_MAX} bytes`;

describe.each(CODECS)("%s", (_, codec, pack) => {
  test("unpacks what it packed, up to the bound", () => {
    for (const size of [0, 1, 70_000, UNPACKED_BYTES_MAX]) {
      if (size === 0 && codec === 2) continue;
      expect(decompress(codec, pack(Buffer.alloc(size, "ab"))).length).toBe(size);
    }
  });

  test("does not unpack one byte beyond it, and says so in the same words whatever unpacks it", () => {
    expect(why(() => decompress(codec, pack(Buffer.alloc(UNPACKED_BYTES_MAX + 1))))).toBe(TOO_LARGE);
  });

  test("says in our own words that bytes are damaged", () => {
    const packed = pack(Buffer.from("some text that is packed, some text that is packed"));
    // The library returns what there is of a zstd frame cut short, and the records are then found to be cut short.
    const cut = codec === 4 ? [] : [packed.subarray(0, packed.length - 6)];
    for (const bytes of [...cut, Buffer.from("no such format")])
      expect(why(() => decompress(codec, Buffer.from(bytes)))).toMatch(/^its (gzip|snappy|lz4|zstd) bytes are damaged$/);
  });
});

test("an lz4 frame of many small blocks is counted by what it unpacks to, not by the size its blocks may have", () => {
  const frame = compressFrameSync(Buffer.from("x".repeat(1_000)));
  // The block size is 4 MiB, so the bound of 100 blocks of 1,000 bytes would be 400 MiB.
  const header = Buffer.from(frame.subarray(0, 7));
  header[4] = 0x60;
  header[5] = 0x70;
  const blockAt = 7;
  const block = frame.subarray(blockAt, blockAt + 4 + (frame.readUInt32LE(blockAt) & 0x7fffffff));
  const many = Buffer.concat([header, ...Array.from({ length: 100 }, () => block), Buffer.alloc(4)]);
  // The header's checksum no longer fits, so the library refuses the frame; what counts is that the bound does not.
  expect(why(() => decompress(3, many))).not.toBe(TOO_LARGE);
});

test("a codec that does not exist is named", () => {
  expect(why(() => decompress(6, Buffer.alloc(10)))).toBe("its compression codec 6 is unknown");
});
