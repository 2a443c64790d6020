import { KEY_FROM, KEY_TO, OFFSET, PLACE_NUMBERS, VALUE_FROM, VALUE_TO } from "../../record-block.ts";
import { RecordCursor } from "./record-cursor.ts";

/** Where the difference of the record's timestamp stands. Its headers stand at VALUE_TO. */
export const TIMESTAMP_AT = 5;
/** Where the head of the record's batch stands. */
export const HEAD_AT = 6;

/** A record has at least its length, attributes, timestamp, offset, key, value and headers, of a byte each. */
const RECORD_BYTES_MIN = 7;
/** The numbers for which there is always room, and the most for which room is kept. */
const NUMBERS_MIN = 8 * 1024;
const NUMBERS_KEPT_MAX = 1024 * 1024;

/** Which of a batch's records are taken, and what is known of them before. */
export interface RecordsHead {
  readonly headAt: number;
  readonly count: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** The records before this offset are checked and not taken. */
  readonly firstOffset: number;
}

/** Collects the places of records. Once they are taken or cleared, its room is used again. */
export class RecordPlaces {
  #numbers = new Int32Array(NUMBERS_MIN);
  count = 0;

  /**
   * Checks all records in `bytes` from `from` to `to`, and adds the places of those that are taken, with offsets from
   * `blockOffset` on. Throws a plain Error that says what is wrong, and has then added nothing.
   */
  add(bytes: Buffer, from: number, to: number, head: RecordsHead, blockOffset: number): void {
    const { headAt, count, baseOffset, lastOffset, firstOffset } = head;
    this.#makeRoom(Math.min(Math.max(0, count), Math.floor((to - from) / RECORD_BYTES_MIN)));
    const numbers = this.#numbers;
    const cursor = new RecordCursor(bytes, from, to);
    let place = this.count * PLACE_NUMBERS;
    let before = baseOffset - 1;
    for (let i = 0; i < count; i++) {
      const end = cursor.varint() + cursor.at;
      const timestampAt = ++cursor.at;
      cursor.varint();
      const offset = baseOffset + cursor.varint();
      const keyFrom = cursor.skipBytes();
      const keyTo = cursor.at;
      const valueFrom = cursor.skipBytes();
      const valueTo = cursor.at;
      cursor.skipHeaders();
      if (cursor.at !== end) throw new Error("a record does not end where it says");
      if (offset <= before || offset > lastOffset) throw new Error("its records do not have ascending offsets within its own");
      before = offset;
      if (offset < firstOffset) continue;
      numbers[place + OFFSET] = offset - blockOffset;
      numbers[place + KEY_FROM] = keyFrom;
      numbers[place + KEY_TO] = keyTo;
      numbers[place + VALUE_FROM] = valueFrom;
      numbers[place + VALUE_TO] = valueTo;
      numbers[place + TIMESTAMP_AT] = timestampAt;
      numbers[place + HEAD_AT] = headAt;
      place += PLACE_NUMBERS;
    }
    if (count < 0 || cursor.at !== to) throw new Error("it has other records than it says");
    this.count = place / PLACE_NUMBERS;
  }

  clear(): void {
    this.count = 0;
  }

  take(): Int32Array {
    const places = this.#numbers.slice(0, this.count * PLACE_NUMBERS);
    this.clear();
    if (this.#numbers.length > NUMBERS_KEPT_MAX) this.#numbers = new Int32Array(NUMBERS_MIN);
    return places;
  }

  #makeRoom(records: number): void {
    const needed = (this.count + records) * PLACE_NUMBERS;
    if (needed <= this.#numbers.length) return;
    const grown = new Int32Array(Math.max(needed, this.#numbers.length * 2));
    grown.set(this.#numbers.subarray(0, this.count * PLACE_NUMBERS));
    this.#numbers = grown;
  }
}
