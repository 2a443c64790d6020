import type { NewRecord } from "../port.ts";

/** The size of a batch without its records, as Kafka encodes it (record batch version 2). */
export const BATCH_HEAD_BYTES = 61;
/** How much more a record can take beside others than alone, for its distance from the first timestamp and offset. */
export const IN_BATCH_EXTRA_BYTES = 12;
const ATTRIBUTES_AND_DELTAS_BYTES = 3;

/**
 * The size of the record in Kafka's encoding if it is the only one of its batch, without the batch's head. The names
 * of its headers must be ASCII.
 */
export function encodedBytes({ key, value, headers }: Pick<NewRecord, "key" | "value" | "headers">): number {
  let bytes = ATTRIBUTES_AND_DELTAS_BYTES + partBytes(key) + partBytes(value) + varintBytes(headers.length);
  for (const [name, header] of headers) bytes += varintBytes(name.length) + name.length + partBytes(header);
  return varintBytes(bytes) + bytes;
}

function partBytes(part: string | Uint8Array | null): number {
  if (part === null) return 1;
  const bytes = typeof part === "string" ? Buffer.byteLength(part) : part.length;
  return varintBytes(bytes) + bytes;
}

/** The size of a length, which is written as a signed (zigzag) varint: 7 bits a byte, one bit in all for the sign. */
function varintBytes(length: number): number {
  return length < 0x40 ? 1 : length < 0x2000 ? 2 : length < 0x10_0000 ? 3 : length < 0x800_0000 ? 4 : 5;
}
