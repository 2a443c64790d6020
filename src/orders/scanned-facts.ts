import { WRITTEN_DIGITS_MAX, writeDigits, writeInteger } from "./decimal-digits.ts";
import { DIGEST_NUMBERS } from "./digest.ts";
import type { ScannedEvent } from "./events/scan/scanned-event.ts";
import { UUID_CHARS, writeUuid } from "./events/scan/uuid.ts";
import { FactHash, hashState } from "./fact-hash.ts";
import { ORDER_FIELDS, STATUSES } from "./order.ts";
import { ORDER_ID_PREFIX } from "./order-id.ts";
import { digitsOfKey, KEY_DIGITS_MAX, leftAlignedOf } from "./order-key.ts";

/**
 * The facts of the digest from what was scanned, equal to those that `digest.ts` makes of texts, without the texts.
 */

const EVENT = hashState(DIGEST_NUMBERS.event, ORDER_ID_PREFIX);
const CREATED = hashState(DIGEST_NUMBERS.created, ORDER_ID_PREFIX);
const STATUS = hashState(ORDER_FIELDS.status.fact.number, ORDER_ID_PREFIX);
const statusTexts = STATUSES.map((status) => Buffer.from(status));
const NEWLINE = 10;
const UPPER_Z = 90;

const hash = new FactHash();
const scratch = Buffer.alloc(Math.max(WRITTEN_DIGITS_MAX, KEY_DIGITS_MAX + 1 + UUID_CHARS));
const scratchView = new DataView(scratch.buffer, scratch.byteOffset, scratch.length);

/** The fact that the event counted: `eventFact` of its order and its id. */
export function scannedEventFact({ bytes, orderDigitsFrom, orderDigitsTo, eventIdFrom, eventIdTo }: ScannedEvent): number {
  hash.begin(EVENT);
  hash.add(bytes, orderDigitsFrom, orderDigitsTo);
  hash.addLine(bytes, eventIdFrom, eventIdTo);
  return hash.value;
}

/** `eventFact` of an order's key and of a UUID in lower case, given as four integers of 32 bits. */
export function uuidEventFact(orderKey: number, a: number, b: number, c: number, d: number): number {
  const digitsTo = writeDigits(scratch, 0, leftAlignedOf(orderKey), digitsOfKey(orderKey));
  scratch[digitsTo] = NEWLINE;
  const to = writeUuid(scratchView, digitsTo + 1, a, b, c, d);
  hash.begin(EVENT);
  hash.add(scratch, 0, to);
  return hash.value;
}

/** The fact of an order's status, by the order's key and the status' index in STATUSES. */
export function statusFact(orderKey: number, status: number): number {
  const text = statusTexts[status] as Buffer;
  hash.begin(STATUS);
  hash.add(scratch, 0, writeDigits(scratch, 0, leftAlignedOf(orderKey), digitsOfKey(orderKey)));
  hash.addLine(text, 0, text.length);
  return hash.value;
}

/** The fact of how a scanned create made its order, without its status. */
export function scannedCreatedFact(event: ScannedEvent): number {
  const { bytes, items } = event;
  hash.begin(CREATED);
  hash.add(bytes, event.orderDigitsFrom, event.orderDigitsTo);
  hash.addLine(bytes, event.customerIdFrom, event.customerIdTo);
  hash.addLine(bytes, event.orderDateFrom, event.orderDateTo);
  if (event.lacksZone) hash.addByte(UPPER_Z);
  addInteger(event.total_hundredths);
  hash.addLine(bytes, event.currencyFrom, event.currencyFrom + 3);
  for (let i = 0; i < items.count; i++) {
    hash.addLine(bytes, items.idFrom[i] as number, items.idTo[i] as number);
    addInteger(items.quantity[i] as number);
    addInteger(items.price_hundredths[i] as number);
  }
  return hash.value;
}

function addInteger(n: number): void {
  hash.addLine(scratch, 0, writeInteger(scratch, 0, n));
}
