import { gzipSync, zstdCompressSync } from "node:zlib";
import { compressFrameSync } from "lz4-napi";
import { compressSync } from "snappy";

/** A record as some other program writes it. */
export interface WireRecord {
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers?: readonly (readonly [name: string, value: string | Buffer | null])[];
}

export const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
export type Codec = (typeof CODECS)[number];

export interface BatchOptions {
  readonly codec?: Codec;
  readonly timestamp_ms?: number | bigint;
  /** Id, epoch and first sequence number of a producer that is known to the broker. */
  readonly producer?: { readonly id: number; readonly epoch: number; readonly sequence: number };
  readonly transactional?: boolean;
  /** The bytes to put where the packed records belong. */
  readonly packed?: Buffer;
  /** The number of records that the batch's header claims. */
  readonly count?: number;
}

/** A record batch of version 2, laid out as the protocol guide defines it, with right or wrong contents. */
export function recordBatch(records: readonly WireRecord[], options: BatchOptions = {}): Buffer {
  const { codec = "none", timestamp_ms = Date.now(), producer, transactional = false, count = records.length } = options;
  const payload = options.packed ?? PACK[codec](Buffer.concat(records.map(encodeRecord)));
  const head = Buffer.alloc(61);
  head.writeInt32BE(head.length - 12 + payload.length, 8);
  head.writeInt32BE(-1, 12);
  head[16] = 2;
  head.writeInt16BE(CODECS.indexOf(codec) | (transactional ? 0x10 : 0), 21);
  head.writeInt32BE(count - 1, 23);
  head.writeBigInt64BE(BigInt(timestamp_ms), 27);
  head.writeBigInt64BE(BigInt(timestamp_ms), 35);
  head.writeBigInt64BE(BigInt(producer?.id ?? -1), 43);
  head.writeInt16BE(producer?.epoch ?? -1, 51);
  head.writeInt32BE(producer?.sequence ?? -1, 53);
  head.writeInt32BE(count, 57);
  const batch = Buffer.concat([head, payload]);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

/** One record whose offset is `offsetDelta` beyond its batch's. */
export function encodeRecord({ key, value, headers = [] }: WireRecord, offsetDelta: number): Buffer {
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(0),
    varint(offsetDelta),
    sized(key),
    sized(value),
    varint(headers.length),
    ...headers.flatMap(([name, content]) => [sized(name), sized(content)]),
  ]);
  return Buffer.concat([varint(body.length), body]);
}

const PACK: Readonly<Record<Codec, (bytes: Buffer) => Buffer>> = {
  none: (bytes) => bytes,
  gzip: (bytes) => gzipSync(bytes),
  snappy: (bytes) => compressSync(bytes),
  lz4: (bytes) => compressFrameSync(bytes),
  zstd: (bytes) => zstdCompressSync(bytes),
};

function sized(part: string | Buffer | null): Buffer {
  if (part === null) return varint(-1);
  const bytes = Buffer.from(part);
  return Buffer.concat([varint(bytes.length), bytes]);
}

/** A varint: zigzag, seven bits a byte. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** Castagnoli's polynomial, reversed. */
const CRC32C = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

export function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC32C[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}
