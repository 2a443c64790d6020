import type { LogPosition } from "../../../log/log-position.ts";
import type { LogRecord } from "../../../log/port.ts";
import { KEY_FROM, KEY_TO, offsetIn, PLACE_NUMBERS, type RecordBlock, VALUE_FROM, VALUE_TO } from "../../../log/record-block.ts";
import { EVENT_HEADERS } from "../../../log/record-headers.ts";
import { decodeEvent } from "../../../orders/events/decode.ts";
import { EVENT_KINDS, type EventKind, kindOf } from "../../../orders/events/kinds.ts";
import { isPoison } from "../../../orders/events/poison.ts";
import { EventScanner } from "../../../orders/events/scan/scanner.ts";
import type { ScannedEvent } from "../../../orders/events/scan/scanned-event.ts";
import { nameOf, type OrderName } from "../../../orders/order-key.ts";
import type { DeadLetterReason, OnRefused, Projection, ProjectionStore, Saving } from "../../../runtime/projection.ts";
import type { HeldBytes } from "../../../runtime/store/copy/held-store.ts";
import { IndexEntry, isBefore } from "./index-record.ts";
import { INDEX_KIND, INDEX_SCHEMA, IndexRows, type KeyedRow } from "./index-rows.ts";
import type { OwnCreates } from "./own-creates.ts";
import type { PlacedBy, Placing } from "./strays.ts";

/**
 * The same key gives the same event id in every cart: a version 8 UUID (RFC 9562) made from the key's SHA-256.
 * Requests without a key get version 4, so most records need not be searched for the fingerprint's header (measured: 6
 * % of a cart's time at 256 connections).
 */
export function eventIdOfKey(key: string): string {
  const hex = new Bun.CryptoHasher("sha256").update(`idempotency-key\n${key}`).digest("hex");
  const variant = ((Number.parseInt(hex[16] as string, 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

const isKeyedEventId = (eventId: string): boolean => eventId.length === 36 && eventId[14] === "8";

/** Where an order was created, and by which event. */
export interface IndexedOrder extends LogPosition {
  readonly eventId: string;
}

/** The first event of an order that was appended for an idempotency key. */
export interface KeyedEvent extends LogPosition {
  readonly fingerprint: string;
  readonly orderId: string;
}

export interface IndexView {
  order(orderId: string): IndexedOrder | undefined;
  /** The order's first event under that id, or otherwise an event of another order under it, if there is one. */
  keyedEvent(eventId: string, orderId: string): KeyedEvent | undefined;
  /** By which partition counts the orders here were put here. */
  readonly placedBy: PlacedBy;
}

/**
 * The cart service's index of a partition: which orders were created there, and what was appended for which idempotency
 * key. `placing` says where creates are put, by which it knows of orders that others put elsewhere.
 */
export const indexProjection = (ownCreates: OwnCreates, placing: Placing): Projection<IndexView> => ({
  ...INDEX_KIND,
  schema: INDEX_SCHEMA,
  open: (files, partition) => new IndexStore(new IndexRows(files), partition, ownCreates, placing),
});

class IndexStore implements ProjectionStore<IndexView> {
  readonly view: IndexView;
  /** What was folded since the last `keep`: the creates' orders and, in the same order, their entries. */
  #created: OrderName[] = [];
  #entries: IndexEntry[] = [];
  #keyed: KeyedRow[] = [];
  /** What is kept and not in a saving. */
  #unsaved = new Map<OrderName, IndexEntry>();
  #unsavedKeyed: KeyedRow[] = [];

  constructor(
    private readonly rows: IndexRows,
    private readonly partition: number,
    private readonly ownCreates: OwnCreates,
    private readonly placing: Placing,
  ) {
    this.view = {
      order: (orderId) => {
        const entry = rows.find(orderId);
        return entry && { partition: entry.partition, offset: entry.offset, eventId: entry.eventId };
      },
      keyedEvent: (eventId, orderId) => rows.keyedEvent(eventId, orderId),
      get placedBy() {
        return rows.strays.placedBy;
      },
    };
  }

  get checksum(): number {
    return this.rows.checksum;
  }

  get unsaved(): number {
    return this.#unsaved.size + this.#unsavedKeyed.length;
  }

  fold(record: LogRecord): DeadLetterReason | undefined {
    // This cart's own records were checked before they were appended.
    const own = this.ownCreates.recognise(record);
    if (own) {
      this.#note(own, true, record);
      return undefined;
    }
    const event = decodeEvent(record.key, record.value);
    if (isPoison(event)) return { code: event.poison, detail: event.detail };
    const { isCreate } = kindOf(event);
    this.#note(event, isCreate, record);
    return undefined;
  }

  foldBlock(block: RecordBlock, nextOffset: number, onRefused: OnRefused): void {
    const { bytes, places, count } = block;
    const { event } = scanner;
    for (let n = 0, at = 0; n < count; n++, at += PLACE_NUMBERS) {
      const offset = offsetIn(block, n);
      if (offset < nextOffset) continue;
      const keyFrom = places[at + KEY_FROM] as number;
      const valueFrom = places[at + VALUE_FROM] as number;
      const isScanned =
        keyFrom >= 0 &&
        valueFrom >= 0 &&
        scanner.scan(bytes, keyFrom, places[at + KEY_TO] as number, valueFrom, places[at + VALUE_TO] as number);
      // An event for an idempotency key has a fingerprint among its headers, so it needs the record.
      if (isScanned && !isKeyed(event)) {
        if (kinds[event.kind]?.isCreate) this.#noteScanned(event, offset);
        continue;
      }
      const record = block.record(n);
      const reason = this.fold(record);
      if (reason) onRefused(record, reason);
    }
  }

  keep(): undefined {
    for (let n = 0; n < this.#created.length; n++) {
      const name = this.#created[n] as OrderName;
      const entry = this.#entries[n] as IndexEntry;
      this.rows.keep(name, entry);
      const known = this.#unsaved.get(name);
      if (known === undefined || isBefore(entry, known)) this.#unsaved.set(name, entry);
    }
    for (const row of this.#keyed) {
      this.rows.keepKeyed(row);
      this.#unsavedKeyed.push(row);
    }
    this.reset();
    return undefined;
  }

  reset(): void {
    this.#created = [];
    this.#entries = [];
    this.#keyed = [];
  }

  save(): Saving {
    const [entries, keyed] = [this.#unsaved, this.#unsavedKeyed];
    const saving = this.rows.save(entries, keyed);
    this.#unsaved = new Map();
    this.#unsavedKeyed = [];
    return {
      ...saving,
      abandoned: () => {
        saving.abandoned();
        for (const [name, entry] of this.#unsaved) {
          const before = entries.get(name);
          if (before === undefined || isBefore(entry, before)) entries.set(name, entry);
        }
        this.#unsaved = entries;
        this.#unsavedKeyed = [...keyed, ...this.#unsavedKeyed];
      },
    };
  }

  hold(): HeldBytes {
    return this.rows.hold();
  }

  #noteScanned(event: ScannedEvent, offset: number): void {
    const { uuid, orderKey } = event;
    const { partition } = this;
    this.#noteCreate(
      orderKey,
      uuid ? IndexEntry.ofUuid(partition, offset, uuid) : IndexEntry.of(partition, offset, event.eventId),
    );
  }

  #noteCreate(name: OrderName, entry: IndexEntry): void {
    this.ownCreates.noteRead(name, entry);
    this.rows.strays.note(name, this.partition, this.placing);
    this.#created.push(name);
    this.#entries.push(entry);
  }

  #note({ orderId, eventId }: { orderId: string; eventId: string }, isCreate: boolean, record: LogRecord): void {
    const { offset } = record;
    if (isCreate) this.#noteCreate(nameOf(orderId), IndexEntry.of(this.partition, offset, eventId));
    if (!isKeyedEventId(eventId)) return;
    const fingerprint = record.headers().find(([name]) => name === EVENT_HEADERS.fingerprint)?.[1];
    if (fingerprint)
      this.#keyed.push({ eventId, fingerprint: Buffer.from(fingerprint).toString(), orderId, partition: this.partition, offset });
  }
}

/** Shared by all partitions, which fold one at a time. */
const scanner = new EventScanner();

const kinds: readonly EventKind[] = EVENT_KINDS;

/** Whether the event's id may be that of an idempotency key: a UUID of version 8. */
const isKeyed = ({ isUuid, eventUuid }: ScannedEvent): boolean => isUuid && ((eventUuid.b >>> 12) & 15) === 8;
