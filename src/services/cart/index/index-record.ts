import { readUuid, type UuidBits, uuidText } from "../../../orders/event-ids.ts";
import { ByteReader } from "../../../runtime/store/bytes/byte-reader.ts";
import type { ByteWriter } from "../../../runtime/store/bytes/byte-writer.ts";
import { damagedRow } from "../../../runtime/store/store-failures.ts";

/** Where an order's first create is, as the index knows it. */
export interface IndexEntry {
  readonly partition: number;
  readonly offset: number;
  /** The event's id: a UUID's bits where it is one in lower case. */
  readonly eventId: string | UuidBits;
}

export const eventIdText = ({ eventId }: IndexEntry): string =>
  typeof eventId === "string" ? eventId : uuidText([eventId.a, eventId.b, eventId.c, eventId.d]);

/** The id as an entry keeps it. */
export function packedId(eventId: string): string | UuidBits {
  const uuid = { a: 0, b: 0, c: 0, d: 0 };
  return readUuid(eventId, uuid) ? uuid : eventId;
}

/** Whether the create of `a` counts rather than that of `b`: the lower partition does, and in a partition the first (I8). */
export const isBefore = (a: IndexEntry, b: IndexEntry): boolean =>
  a.partition === b.partition ? a.offset < b.offset : a.partition < b.partition;

/** An entry without the text of an id. */
const ENTRY_BYTES_MAX = 64;
const TEXT = 0;
const UUID = 1;

/** Writes an entry in some 22 bytes. */
export function writeEntry(out: ByteWriter, { partition, offset, eventId }: IndexEntry): void {
  out.reserve(ENTRY_BYTES_MAX);
  out.varint(partition);
  out.varint(offset);
  if (typeof eventId === "string") {
    out.u8(TEXT);
    out.text(eventId);
    return;
  }
  out.u8(UUID);
  out.u32(eventId.a);
  out.u32(eventId.b);
  out.u32(eventId.c);
  out.u32(eventId.d);
}

/** Reads what `writeEntry` wrote. Throws an error for damage if it is something else. */
export function readEntry(bytes: Buffer, start: number, end: number): IndexEntry {
  try {
    const from = new ByteReader().begin(bytes, start, end);
    const [partition, offset] = [from.varint(), from.varint()];
    if (from.u8() === TEXT) return { partition, offset, eventId: from.text() };
    return { partition, offset, eventId: { a: from.i32(), b: from.i32(), c: from.i32(), d: from.i32() } };
  } catch (e) {
    throw e instanceof RangeError ? damagedRow("an entry of the index", e) : e;
  }
}
