import { crc32 } from "node:zlib";

/**
 * How a key is mapped to a partition. `murmur2` is the default of Java, kafkajs and Redpanda's tools. `crc32` is
 * librdkafka's default, `consistent_random`, which is consistent for every key that is not empty. All programs that
 * create orders must use the same one.
 */
export type Partitioner = "murmur2" | "crc32";

/** The partition, from 0 to `partitionCount` − 1, of a key that is not empty. */
export const partitionFor = (partitioner: Partitioner, key: string, partitionCount: number): number =>
  hashOf(partitioner, key) % partitionCount;

/** A request asks for its order's partition several times in a row. */
let last: { readonly partitioner: Partitioner; readonly key: string; readonly hash: number } | undefined;

/** The hash of a key: its partition is what is left when it is divided by their number. */
export function hashOf(partitioner: Partitioner, key: string): number {
  if (last?.key === key && last.partitioner === partitioner) return last.hash;
  const hash = partitioner === "crc32" ? crc32(key) : murmur2(asciiOf(key) ?? Buffer.from(key)) & 0x7fffffff;
  last = { partitioner, key, hash };
  return hash;
}

/** A key of at most so many ASCII characters is hashed in bytes that are used again. */
const SHORT_BYTES_MAX = 64;
const short = new ArrayBuffer(SHORT_BYTES_MAX);
const shortViews = Array.from({ length: SHORT_BYTES_MAX + 1 }, (_, length) => new Uint8Array(short, 0, length));

/** The bytes of a short key of ASCII, good until the next call; undefined for any other. */
function asciiOf(key: string): Uint8Array | undefined {
  const bytes = shortViews[key.length];
  if (bytes === undefined) return undefined;
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    if (code > 0x7f) return undefined;
    bytes[i] = code;
  }
  return bytes;
}

const M = 0x5bd1e995;

/** MurmurHash2 (Austin Appleby) in 32 bits with Kafka's seed, as in `org.apache.kafka.common.utils.Utils.murmur2`. */
function murmur2(bytes: Uint8Array): number {
  const whole = bytes.length & ~3;
  let h = 0x9747b28c ^ bytes.length;
  for (let i = 0; i < whole; i += 4) {
    let k = at(bytes, i) | (at(bytes, i + 1) << 8) | (at(bytes, i + 2) << 16) | (at(bytes, i + 3) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const rest = bytes.length - whole;
  if (rest === 3) h ^= at(bytes, whole + 2) << 16;
  if (rest >= 2) h ^= at(bytes, whole + 1) << 8;
  if (rest >= 1) h = Math.imul(h ^ at(bytes, whole), M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return h ^ (h >>> 15);
}

const at = (bytes: Uint8Array, i: number): number => bytes[i] ?? 0;
