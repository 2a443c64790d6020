import { readUuid, type UuidBits, uuidText } from "../../../orders/event-ids.ts";
import { ByteReader } from "../../../runtime/store/bytes/byte-reader.ts";
import type { ByteWriter } from "../../../runtime/store/bytes/byte-writer.ts";
import { damagedRow, isMisread } from "../../../runtime/store/store-failures.ts";

/** Where an order's first create is, as the index knows it. It is one object, as a cart makes one for each create it reads. */
export class IndexEntry {
  private constructor(
    readonly partition: number,
    readonly offset: number,
    /** The id of the create's event, if it is no UUID in lower case. */
    readonly text: string | undefined,
    // The id's bits, if it is one.
    readonly a: number,
    readonly b: number,
    readonly c: number,
    readonly d: number,
  ) {}

  static of(partition: number, offset: number, eventId: string): IndexEntry {
    return readUuid(eventId, bits)
      ? IndexEntry.ofUuid(partition, offset, bits)
      : new IndexEntry(partition, offset, eventId, 0, 0, 0, 0);
  }

  static ofUuid(partition: number, offset: number, { a, b, c, d }: UuidBits): IndexEntry {
    return new IndexEntry(partition, offset, undefined, a, b, c, d);
  }

  get eventId(): string {
    return this.text ?? uuidText([this.a, this.b, this.c, this.d]);
  }

  /** Whether the create's event has this id; no text is made of bits for it. */
  isOf(eventId: string): boolean {
    if (this.text !== undefined) return this.text === eventId;
    return readUuid(eventId, bits) && bits.d === this.d && bits.c === this.c && bits.b === this.b && bits.a === this.a;
  }
}

/** The UUID that was read last. */
const bits = { a: 0, b: 0, c: 0, d: 0 };

/** Whether the create of `a` counts rather than that of `b`: the lower partition does, and in a partition the first (I8). */
export const isBefore = (a: IndexEntry, b: IndexEntry): boolean =>
  a.partition === b.partition ? a.offset < b.offset : a.partition < b.partition;

/** An entry without the text of an id. */
const ENTRY_BYTES_MAX = 64;
const TEXT = 0;
const UUID = 1;

/** Writes an entry in some 22 bytes. */
export function writeEntry(out: ByteWriter, { partition, offset, text, a, b, c, d }: IndexEntry): void {
  out.reserve(ENTRY_BYTES_MAX);
  out.varint(partition);
  out.varint(offset);
  if (text !== undefined) {
    out.u8(TEXT);
    out.text(text);
    return;
  }
  out.u8(UUID);
  out.u32(a);
  out.u32(b);
  out.u32(c);
  out.u32(d);
}

/** Reads what `writeEntry` wrote. Throws an error for damage if it is something else. */
export function readEntry(bytes: Buffer, start: number, end: number): IndexEntry {
  try {
    const from = new ByteReader().begin(bytes, start, end);
    const [partition, offset] = [from.varint(), from.varint()];
    if (from.u8() === TEXT) return IndexEntry.of(partition, offset, from.text());
    return IndexEntry.ofUuid(partition, offset, { a: from.i32(), b: from.i32(), c: from.i32(), d: from.i32() });
  } catch (e) {
    throw isMisread(e) ? damagedRow("an entry of the index", e) : e;
  }
}
