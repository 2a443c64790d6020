import { createdFact } from "../../../orders/digest.ts";
import type { ScannedEvent } from "../../../orders/events/scan/scanned-event.ts";
import type { Created, Item } from "../../../orders/order.ts";
import type { ByteFile } from "../../../runtime/store/byte-file.ts";
import type { Piece } from "../../../runtime/store/copy/held-store.ts";
import { damagedRow, isMisread } from "../../../runtime/store/store-failures.ts";
import { ByteReader } from "../../../runtime/store/bytes/byte-reader.ts";
import { ByteWriter, VARINT_BYTES_MAX } from "../../../runtime/store/bytes/byte-writer.ts";

/** How much is read at first; a create of a few items has less than 100 bytes. */
const READ_BYTES_FIRST = 512;
/** No create is longer: an event has at most 1 MiB. */
const READ_BYTES_MAX = 4 * 1_048_576;

/** How much is read at once where all is read. */
const PIECE_BYTES = 262_144;

/** A date is its milliseconds since 1970 if that gives the same text again, otherwise the text. */
const DATE_TEXT = 0;
const DATE_MS = 1;

/**
 * What creates said, one after the other in the order of the log. It never changes, so it is written once and stays
 * where it is; a place is the offset of its first byte. What was appended is in memory until it is saved.
 *
 * ```
 *  appended ──keep()──▶ kept ──write()──▶ in the file ──saved()──▶ saved, and only read from there
 *     └──reset()──▶ forgotten
 * ```
 */
export class Creates {
  /** The bytes from `#savedTo` on. */
  readonly #tail = new ByteWriter();
  #keptTo: number;

  /** `savedTo` is where the saved bytes end; the file may have more, which counts for nothing. */
  constructor(
    private readonly file: ByteFile,
    private savedTo: number,
  ) {
    this.#keptTo = savedTo;
  }

  /** Where the kept bytes end. */
  get keptTo(): number {
    return this.#keptTo;
  }

  /** Leaves that many bytes free for something else, and returns the place. Nothing may have been appended yet. */
  leaveRoom(bytes: number): number {
    const place = this.next;
    this.#tail.reserve(bytes);
    this.#tail.bytes.fill(0, this.#tail.at, this.#tail.at + bytes);
    this.#tail.at += bytes;
    this.keep();
    return place;
  }

  /** Appends what a create said, and returns its place. `fact` is the digest's fact of it, which guards it. */
  append(created: Created, fact: number): number {
    const out = this.begin(fact);
    const place = this.savedTo + out.at - FACT_BYTES;
    writeDate(out, created.orderDate);
    out.varint(created.total_hundredths);
    out.copy(Buffer.from(created.currency, "latin1"), 0, CURRENCY_BYTES);
    out.text(created.customerId);
    out.reserve(VARINT_BYTES_MAX);
    out.varint(created.items.length);
    for (const { itemId, quantity, price_hundredths } of created.items) {
      out.text(itemId);
      out.reserve(2 * VARINT_BYTES_MAX);
      out.varint(quantity);
      out.varint(price_hundredths);
    }
    return place;
  }

  /** Begins to append; the caller writes the rest, as `append` does. */
  begin(fact: number): ByteWriter {
    this.#tail.reserve(HEAD_BYTES_MAX);
    this.#tail.u32(fact >>> 0);
    return this.#tail;
  }

  /** Appends what a scanned create said, as `append` does. */
  appendScanned(event: ScannedEvent, fact: number): void {
    const out = this.begin(fact);
    const { bytes, items } = event;
    writeScannedDate(out, event);
    out.varint(event.total_hundredths);
    out.copy(bytes, event.currencyFrom, event.currencyFrom + CURRENCY_BYTES);
    out.textBytes(bytes, event.customerIdFrom, event.customerIdTo);
    out.reserve(VARINT_BYTES_MAX);
    out.varint(items.count);
    for (let i = 0; i < items.count; i++) {
      out.textBytes(bytes, items.idFrom[i] as number, items.idTo[i] as number);
      out.reserve(2 * VARINT_BYTES_MAX);
      out.varint(items.quantity[i] as number);
      out.varint(items.price_hundredths[i] as number);
    }
  }

  /** The place of what is appended next. */
  get next(): number {
    return this.savedTo + this.#tail.at;
  }

  keep(): void {
    this.#keptTo = this.next;
  }

  /** Forgets what was appended since the last `keep`. */
  reset(): void {
    this.#tail.at = this.#keptTo - this.savedTo;
  }

  /** Writes everything that is kept to the file, and returns where it ends. */
  write(): number {
    const length = this.#keptTo - this.savedTo;
    if (length > 0) this.file.write(this.#tail.bytes, 0, length, this.savedTo);
    return this.#keptTo;
  }

  /** Notes that everything before `to` is saved. */
  saved(to: number): void {
    const { bytes, at } = this.#tail;
    bytes.copyWithin(0, to - this.savedTo, at);
    this.#tail.at = at - (to - this.savedTo);
    this.savedTo = to;
  }

  /** The first `length` saved bytes, which do not change. The stamp among them does. */
  *pieces(length: number): Generator<Piece> {
    const buffer = Buffer.allocUnsafe(Math.min(length, PIECE_BYTES));
    for (let at = 0; at < length; at += buffer.length) {
      const bytes = buffer.subarray(0, Math.min(buffer.length, length - at));
      if (this.file.read(bytes, 0, bytes.length, at) < bytes.length) throw damagedRow("The creates", "The file ends too early.");
      yield { at, bytes };
    }
  }

  /** Reads what the create of the order said. Throws an error for damage if it is not at the place. */
  read(orderId: string, place: number): Created {
    try {
      const created =
        place >= this.savedTo
          ? readCreated(orderId, new ByteReader().begin(this.#tail.bytes, place - this.savedTo, this.#tail.at))
          : this.#readFile(orderId, place);
      const fact = createdFact(created);
      if (fact >>> 0 === created.guard) return { ...created, fact };
    } catch (e) {
      if (!isMisread(e)) throw e;
    }
    throw damagedRow(`the create of ${orderId}`, `what is at offset ${place} of the creates is not it`);
  }

  #readFile(orderId: string, place: number): Guarded {
    for (let length = READ_BYTES_FIRST; ; length *= 8) {
      const bytes = Buffer.allocUnsafe(Math.min(length, this.savedTo - place));
      const read = this.file.read(bytes, 0, bytes.length, place);
      try {
        return readCreated(orderId, new ByteReader().begin(bytes, 0, read));
      } catch (e) {
        if (!isMisread(e) || read < length || length > READ_BYTES_MAX) throw e;
      }
    }
  }
}

const FACT_BYTES = 4;
/** What comes before the texts: the fact, the date, the total and the currency. */
const HEAD_BYTES_MAX = 128;
const CURRENCY_BYTES = 3;

/** `guard` is the lower half of the fact of what the create said. */
type Guarded = Created & { readonly guard: number };

function readCreated(orderId: string, from: ByteReader): Guarded {
  const guard = from.u32();
  const orderDate = from.u8() === DATE_MS ? new Date(from.u48()).toISOString() : from.text();
  const total_hundredths = from.varint();
  const currency = from.latin1(CURRENCY_BYTES);
  const customerId = from.text();
  const items: Item[] = [];
  for (let left = from.varint(); left > 0; left--)
    items.push({ itemId: from.text(), quantity: from.varint(), price_hundredths: from.varint() });
  return { orderId, customerId, orderDate, items, total_hundredths, currency, guard };
}

function writeDate(out: ByteWriter, date: string): void {
  const ms = date.length === MS_DATE_CHARS && date.endsWith("Z") ? Date.parse(date) : Number.NaN;
  if (ms >= 0 && new Date(ms).toISOString() === date) {
    out.u8(DATE_MS);
    out.u48(ms);
  } else {
    out.u8(DATE_TEXT);
    out.text(date);
  }
}

/** Writes the scanned date as `writeDate` does. */
function writeScannedDate(out: ByteWriter, event: ScannedEvent): void {
  const { bytes, orderDateFrom: from, orderDateTo: to, lacksZone } = event;
  const isUtc = lacksZone || bytes[to - 1] === UPPER_Z;
  const hasMs = isUtc && to - from === (lacksZone ? MS_DATE_CHARS - 1 : MS_DATE_CHARS) && bytes[from + 19] === POINT;
  const ms = hasMs ? epoch_ms(bytes, from) : -1;
  if (ms >= 0) {
    out.u8(DATE_MS);
    out.u48(ms);
    return;
  }
  out.u8(DATE_TEXT);
  out.varint(to - from + (lacksZone ? 1 : 0));
  out.copy(bytes, from, to);
  if (lacksZone) out.u8(UPPER_Z);
}

/** The milliseconds since 1970 of a valid date of the form `2026-11-22T21:42:39.413Z`. */
function epoch_ms(bytes: Uint8Array, at: number): number {
  const two = (i: number) => ((bytes[at + i] as number) - ZERO) * 10 + ((bytes[at + i + 1] as number) - ZERO);
  const month = two(5);
  // Days from 0000-03-01, in years that begin in March: https://howardhinnant.github.io/date_algorithms.html
  const year = two(0) * 100 + two(2) - (month <= 2 ? 1 : 0);
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + two(8) - 1;
  const days = year * 365 + Math.floor(year / 4) - Math.floor(year / 100) + Math.floor(year / 400) + dayOfYear - DAYS_TO_1970;
  return ((days * 24 + two(11)) * 60 + two(14)) * 60_000 + two(17) * 1_000 + two(20) * 10 + (bytes[at + 22] as number) - ZERO;
}

const DAYS_TO_1970 = 719_468;
const ZERO = 48;
const POINT = 46;
const UPPER_Z = 90;
const MS_DATE_CHARS = "2026-11-22T21:42:39.413Z".length;
