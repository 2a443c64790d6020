import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { decompressFrameSync } from "lz4-napi";
import { uncompressSync } from "snappy";

/**
 * A batch may not unpack to more than this. A producer's packed batch is at most 1 MiB unless the broker was told
 * otherwise, and events pack to about a tenth. This is a constant and not a setting, because it decides what becomes a
 * dead letter.
 */
export const UNPACKED_BYTES_MAX = 64 * 1024 * 1024;

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;

/**
 * Says why a batch cannot be unpacked, in a sentence that depends on its bytes alone. A library's own message may
 * change with its version.
 */
export class CannotUnpack extends Error {}

/**
 * Unpacks the records of a batch. `codec` is the low three bits of the batch's attributes (1 gzip, 2 snappy, 3 lz4, 4
 * zstd). Throws CannotUnpack if the bytes are damaged or unpack to more than the bound.
 */
export function decompress(codec: number, packed: Buffer): Buffer {
  try {
    return unpack(codec, packed);
  } catch (e) {
    if (e instanceof CannotUnpack) throw e;
    if ((e as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge();
    throw new CannotUnpack(`its ${NAMES[codec]} bytes are damaged`);
  }
}

const NAMES: Readonly<Record<number, string>> = { 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd" };

const tooLarge = () => new CannotUnpack(`it unpacks to more than ${UNPACKED_BYTES_MAX} bytes`);

function unpack(codec: number, packed: Buffer): Buffer {
  switch (codec) {
    case 1:
      return gunzipSync(packed, { maxOutputLength: UNPACKED_BYTES_MAX });
    case 2:
      return unpackSnappy(packed);
    case 3:
      requireWithinBound(packed);
      return decompressFrameSync(packed);
    case 4:
      return zstdDecompressSync(packed, { maxOutputLength: UNPACKED_BYTES_MAX });
    default:
      throw new CannotUnpack(`its compression codec ${codec} is unknown`);
  }
}

/**
 * Java's client frames snappy in xerial's blocks (magic, two versions, then length-prefixed blocks), whereas
 * librdkafka and franz-go send one raw block.
 */
function unpackSnappy(packed: Buffer): Buffer {
  if (packed.length < XERIAL_HEADER_BYTES || XERIAL_MAGIC.compare(packed, 0, XERIAL_MAGIC.length) !== 0)
    return unpackSnappyBlock(packed, UNPACKED_BYTES_MAX);
  const blocks: Buffer[] = [];
  let left_bytes = UNPACKED_BYTES_MAX;
  for (let at = XERIAL_HEADER_BYTES; at < packed.length;) {
    const blockBytes = packed.readInt32BE(at);
    if (blockBytes < 0 || at + 4 + blockBytes > packed.length) throw new Error("a snappy block is cut short");
    const block = unpackSnappyBlock(packed.subarray(at + 4, at + 4 + blockBytes), left_bytes);
    left_bytes -= block.length;
    blocks.push(block);
    at += 4 + blockBytes;
  }
  return blocks.length === 1 && blocks[0] ? blocks[0] : Buffer.concat(blocks);
}

function unpackSnappyBlock(block: Buffer, bytes_max: number): Buffer {
  let unpackedBytes = 0;
  for (let at = 0, scale = 1; at < 5 && at < block.length; at++, scale *= 128) {
    const byte = block[at] ?? 0;
    unpackedBytes += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  if (unpackedBytes > bytes_max) throw tooLarge();
  return uncompressSync(block, { asBuffer: true }) as Buffer;
}

const LZ4_MAGIC = 0x184d2204;
const LZ4_BLOCK_BYTES_MAX: Readonly<Record<number, number>> = { 4: 65_536, 5: 262_144, 6: 1_048_576, 7: 4_194_304 };
const LZ4_UNCOMPRESSED_BIT = 0x80000000;

/**
 * lz4-napi has no bound of its own, so the frame is walked first
 * (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md). Only if its blocks could exceed the bound together
 * are they counted exactly, sequence by sequence.
 */
function requireWithinBound(packed: Buffer): void {
  if (packed.length < 7 || packed.readUInt32LE(0) !== LZ4_MAGIC) throw new Error("no lz4 frame");
  const flags = packed[4] as number;
  const blockBytesMax = LZ4_BLOCK_BYTES_MAX[((packed[5] as number) >> 4) & 7];
  if (blockBytesMax === undefined) throw new Error("no lz4 block size");
  const hasBlockChecksum = (flags & 0x10) !== 0;
  const blocks: Buffer[] = [];
  let at = 7 + (flags & 0x08 ? 8 : 0) + (flags & 0x01 ? 4 : 0);
  let plain_bytes = 0;
  for (;;) {
    const size = packed.readUInt32LE(at);
    at += 4;
    if (size === 0) break;
    const bytes = size >= LZ4_UNCOMPRESSED_BIT ? size - LZ4_UNCOMPRESSED_BIT : size;
    if (at + bytes > packed.length) throw new Error("an lz4 block is cut short");
    if (size >= LZ4_UNCOMPRESSED_BIT) plain_bytes += bytes;
    else blocks.push(packed.subarray(at, at + bytes));
    at += bytes + (hasBlockChecksum ? 4 : 0);
  }
  // Nothing may follow the frame: the library would unpack a second frame, which was not walked.
  if (at + (flags & 0x04 ? 4 : 0) < packed.length) throw new Error("bytes behind the lz4 frame");
  if (plain_bytes + blocks.length * blockBytesMax <= UNPACKED_BYTES_MAX) return;
  for (const block of blocks) {
    plain_bytes += lz4UnpackedBytes(block);
    if (plain_bytes > UNPACKED_BYTES_MAX) throw tooLarge();
  }
}

/**
 * Adds up the lengths of a block's literals and matches (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md).
 */
function lz4UnpackedBytes(block: Buffer): number {
  let unpacked_bytes = 0;
  let at = 0;
  const extended = (nibble: number): number => {
    let length = nibble;
    if (nibble === 15) {
      let byte: number;
      do length += byte = block[at++] ?? 0;
      while (byte === 255);
    }
    return length;
  };
  while (at < block.length) {
    const token = block[at++] as number;
    const literals = extended(token >> 4);
    unpacked_bytes += literals;
    at += literals;
    if (at >= block.length) break;
    at += 2;
    unpacked_bytes += extended(token & 15) + 4;
  }
  return unpacked_bytes;
}
