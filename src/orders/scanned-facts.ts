import { WRITTEN_DIGITS_MAX, writeInteger } from "./decimal-digits.ts";
import { DIGEST_NUMBERS } from "./digest.ts";
import type { ScannedEvent } from "./events/scan/scanned-event.ts";
import { FactHash, hashState } from "./fact-hash.ts";
import { ORDER_ID_PREFIX } from "./order-id.ts";

/**
 * The facts of the digest from what was scanned, equal to those that `digest.ts` makes of texts, without the texts.
 */

const EVENT = hashState(DIGEST_NUMBERS.event, ORDER_ID_PREFIX);
const CREATED = hashState(DIGEST_NUMBERS.created, ORDER_ID_PREFIX);
const UPPER_Z = 90;

const hash = new FactHash();
const scratch = Buffer.alloc(WRITTEN_DIGITS_MAX);

/** The fact that the event counted: `eventFact` of its order and its id. */
export function scannedEventFact({ bytes, orderDigitsFrom, orderDigitsTo, eventIdFrom, eventIdTo }: ScannedEvent): number {
  hash.begin(EVENT);
  hash.add(bytes, orderDigitsFrom, orderDigitsTo);
  hash.addLine(bytes, eventIdFrom, eventIdTo);
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
