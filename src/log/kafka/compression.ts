import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { decompressFrameSync } from "lz4-napi";
import { uncompressSync } from "snappy";

/** A batch may not unpack to more than this; a producer's batch is 1 MiB packed unless the broker was told otherwise. */
const UNPACKED_BYTES_MAX = 64 * 1024 * 1024;

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;

/**
 * Unpacks the records of a batch. `codec` is the low three bits of the batch's attributes (1 gzip, 2 snappy, 3 lz4, 4 zstd).
 * Throws a plain Error when the bytes are damaged or unpack beyond the bound.
 */
export function decompress(codec: number, packed: Buffer): Buffer {
  switch (codec) {
    case 1:
      return gunzipSync(packed, { maxOutputLength: UNPACKED_BYTES_MAX });
    case 2:
      return unpackSnappy(packed);
    case 3:
      return decompressFrameSync(packed);
    case 4:
      return zstdDecompressSync(packed, { maxOutputLength: UNPACKED_BYTES_MAX });
    default:
      throw new Error(`compression codec ${codec} is unknown`);
  }
}

/** Java's client frames snappy in xerial's blocks (magic, two versions, then length-prefixed blocks); librdkafka and franz-go send one raw block. */
function unpackSnappy(packed: Buffer): Buffer {
  if (packed.length < XERIAL_HEADER_BYTES || XERIAL_MAGIC.compare(packed, 0, XERIAL_MAGIC.length) !== 0)
    return unpackSnappyBlock(packed);
  const blocks: Buffer[] = [];
  let unpackedBytes = 0;
  for (let at = XERIAL_HEADER_BYTES; at < packed.length;) {
    const blockBytes = packed.readInt32BE(at);
    if (blockBytes < 0 || at + 4 + blockBytes > packed.length) throw new Error("a snappy block is cut short");
    const block = unpackSnappyBlock(packed.subarray(at + 4, at + 4 + blockBytes));
    unpackedBytes += block.length;
    if (unpackedBytes > UNPACKED_BYTES_MAX) throw new Error(`a batch unpacks to more than ${UNPACKED_BYTES_MAX} bytes`);
    blocks.push(block);
    at += 4 + blockBytes;
  }
  return blocks.length === 1 && blocks[0] ? blocks[0] : Buffer.concat(blocks);
}

function unpackSnappyBlock(block: Buffer): Buffer {
  let unpackedBytes = 0;
  for (let at = 0, scale = 1; at < 5 && at < block.length; at++, scale *= 128) {
    const byte = block[at] ?? 0;
    unpackedBytes += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  if (unpackedBytes > UNPACKED_BYTES_MAX) throw new Error(`a batch unpacks to more than ${UNPACKED_BYTES_MAX} bytes`);
  return uncompressSync(block, { asBuffer: true }) as Buffer;
}
