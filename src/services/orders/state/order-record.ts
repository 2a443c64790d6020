import { EventIds } from "../../../orders/event-ids.ts";
import { readChange, writeChange } from "../../../orders/events/kinds.ts";
import { initialState, type OrderState } from "../../../orders/fold.ts";
import { orderIdOf, type OrderName } from "../../../orders/order-key.ts";
import { type Order, STATUSES, type Status } from "../../../orders/order.ts";
import { damagedRow, isMisread } from "../../../runtime/store/store-failures.ts";
import { ByteReader } from "../../../runtime/store/bytes/byte-reader.ts";
import { type ByteWriter, VARINT_BYTES_MAX } from "../../../runtime/store/bytes/byte-writer.ts";
import type { CachedOrder } from "./cached-orders.ts";
import type { Creates } from "./creates.ts";
import { StoredCreated } from "./stored-created.ts";

/**
 * The version of the rows. It is raised with every change of what they hold, or of what they mean: beside a store of
 * another version, a new one is built from the log. What a create said is written in creates.ts, and counts as well.
 */
export const ROWS_VERSION = 4;

type Changing = Required<Omit<Order, "created">>;

/** Writes the fields of an order that may change. A test tries every field; the compiler demands it of `readOrder`. */
function writeChanging(out: ByteWriter, { status }: Changing): void {
  out.u8(STATUS_NUMBERS[status]);
}

const STATUS_NUMBERS = Object.fromEntries(STATUSES.map((status, n) => [status, n])) as Readonly<Record<Status, number>>;

/** Reads where the order's create is, and what `writeChanging` wrote. */
function readOrder(creates: Creates, name: OrderName, from: ByteReader): Required<Order> {
  const created = new StoredCreated(creates, name, from.u48());
  return { created, status: statusAt(from.u8()) };
}

function statusAt(n: number): Status {
  const status = STATUSES[n];
  if (status === undefined) throw new RangeError(`there is no status ${n}`);
  return status;
}

/** Which parts a record has. */
const HAS_ORDER = 1;
const HAS_HELD = 2;
const HAS_TEXT_IDS = 4;
const HAS_SPILLED = 8;

/**
 * Writes an order's record: what may change of it, and where its create is. The record of an order of four events has
 * some 75 bytes. `place` is that of what its create said.
 */
export function writeRecord(out: ByteWriter, { order, held, eventIds }: OrderState, spilled: number, place: number): void {
  const { texts, uuidCount } = eventIds;
  const parts =
    (order === undefined ? 0 : HAS_ORDER) |
    (held.length === 0 ? 0 : HAS_HELD) |
    (texts.length === 0 ? 0 : HAS_TEXT_IDS) |
    (spilled === 0 ? 0 : HAS_SPILLED);
  out.reserve(HEAD_BYTES_MAX);
  out.u8(parts);
  if (order !== undefined) {
    out.u48(place);
    writeChanging(out, order);
  }
  // A field may have taken the room that was made above.
  out.reserve(VARINT_BYTES_MAX + uuidCount * UUID_BYTES);
  out.varint(uuidCount);
  for (let i = 0; i < uuidCount * UUID_WORDS; i++) out.u32(eventIds.word(i));
  if (texts.length > 0) writeTexts(out, texts);
  if (held.length > 0) writeTexts(out, held.map(writeChange));
  out.reserve(VARINT_BYTES_MAX);
  if (spilled > 0) out.varint(spilled);
}

/** Everything before the ids. */
const HEAD_BYTES_MAX = 64;
const UUID_BYTES = 16;

/** Reads what `writeRecord` wrote into the order. Throws an error for damage if it is something else. */
export function readRecord(creates: Creates, order: CachedOrder, bytes: Buffer, from: number, to: number): void {
  try {
    reader.begin(bytes, from, to);
    read(creates, order, reader);
  } catch (e) {
    throw isMisread(e) ? damagedRow(`the record of ${orderIdOf(order.name)}`, e) : e;
  }
}

const reader = new ByteReader();

function read(creates: Creates, into: CachedOrder, from: ByteReader): void {
  const { name } = into;
  const parts = from.u8();
  const order = parts & HAS_ORDER ? readOrder(creates, name, from) : undefined;
  const words: number[] = [];
  for (let left = from.varint() * UUID_WORDS; left > 0; left--) words.push(from.i32());
  const texts = parts & HAS_TEXT_IDS ? readTexts(from) : NO_TEXTS;
  const held = parts & HAS_HELD ? readTexts(from).map((word) => changeOf(name, word)) : initialState.held;
  into.state = into.kept = { order, held, eventIds: EventIds.of(words, texts) };
  into.isStored = true;
  into.spilled = into.keptSpilled = parts & HAS_SPILLED ? from.varint() : 0;
}

const NO_TEXTS: readonly string[] = [];

const UUID_WORDS = 4;

function changeOf(name: OrderName, word: string): OrderState["held"][number] {
  const change = readChange(word);
  if (!change) throw damagedRow(`the held updates of ${orderIdOf(name)}`, `${word} is no change of an order`);
  return change;
}

function writeTexts(out: ByteWriter, texts: readonly string[]): void {
  out.reserve(VARINT_BYTES_MAX);
  out.varint(texts.length);
  for (const text of texts) out.text(text);
}

function readTexts(from: ByteReader): string[] {
  const texts: string[] = [];
  for (let left = from.varint(); left > 0; left--) texts.push(from.text());
  return texts;
}
