import type { NewRecord } from "../port.ts";

/** What a batch has beside its records, as Kafka encodes it (record batch version 2). */
export const BATCH_HEAD_BYTES = 61;
/** A record beside others takes up to so much more than alone: its distance from the first one's timestamp and offset. */
export const IN_BATCH_EXTRA_BYTES = 12;
const ATTRIBUTES_AND_DELTAS_BYTES = 3;

/** How long the record is as the only one of a batch, without the batch's head, in Kafka's encoding. Its headers' names are ASCII. */
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

/** Of a length, which is written as a signed (zigzag) varint: 7 bits a byte, one of them for the sign. */
function varintBytes(length: number): number {
  return length < 0x40 ? 1 : length < 0x2000 ? 2 : length < 0x10_0000 ? 3 : length < 0x800_0000 ? 4 : 5;
}
