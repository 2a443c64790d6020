import type { Batch, LogRecord } from "../../../log/port.ts";
import { KEY_FROM, KEY_TO, offsetIn, PLACE_NUMBERS, type RecordBlock, VALUE_FROM, VALUE_TO } from "../../../log/record-block.ts";
import { changedFacts, createdFact, digestSum, eventFact, formatDigest, heldFact } from "../../../orders/digest.ts";
import type { Identified } from "../../../orders/event-ids.ts";
import { decodeEvent } from "../../../orders/events/decode.ts";
import { EVENT_KINDS, type EventKind, type OrderEvent } from "../../../orders/events/kinds.ts";
import { isPoison } from "../../../orders/events/poison.ts";
import { EventScanner } from "../../../orders/events/scan/scanner.ts";
import { evolve, evolveChange, evolveCreate, type OrderState } from "../../../orders/fold.ts";
import { nameOf, orderIdOf, orderKeyAt, type OrderName } from "../../../orders/order-key.ts";
import { scannedCreatedFact, scannedEventFact } from "../../../orders/scanned-facts.ts";
import { factsOf, type Outcome, RECORD_COUNTS, type RecordCount } from "../../../orders/outcomes.ts";
import type { DeadLetterReason, OnRefused, Projection, ProjectionStore, Saving } from "../../../runtime/projection.ts";
import type { HeldBytes } from "../../../runtime/store/copy/held-store.ts";
import type { StoreFiles } from "../../../runtime/store/store-files.ts";
import type { Outcomes } from "../../../telemetry/meters.ts";
import { CachedOrder, CachedOrders } from "./cached-orders.ts";
import { ROWS_VERSION } from "./order-record.ts";
import { News } from "./news.ts";
import { OrderRows } from "./order-rows.ts";
import { ORDERS_SCHEMA } from "./orders-schema.ts";
import { makeView, type OrdersView } from "./orders-view.ts";
import { spillEventIds } from "./spill-event-ids.ts";
import { StoredCreated } from "./stored-created.ts";

/**
 * When the ids of an order's events take more bytes than this, they move to a table of their own. They move after an
 * event, not after a batch, because the rows must depend on the log alone and not on how it was read (I3).
 */
const EVENT_ID_BYTES_MAX = 1_024;

/** Shared by all partitions, which fold one at a time. */
const scanner = new EventScanner();

export const orderProjection: Projection<OrdersView> = {
  name: "orders",
  version: ROWS_VERSION,
  schema: ORDERS_SCHEMA,
  open: (files) => new OrderStore(files),
};

const noCounts = () => Object.fromEntries(RECORD_COUNTS.map((count) => [count, 0])) as Record<RecordCount, number>;

const kinds: readonly EventKind[] = EVENT_KINDS;

class OrderStore implements ProjectionStore<OrdersView> {
  readonly view: OrdersView;
  readonly #rows: OrderRows;
  readonly #cached: CachedOrders;
  /** The orders that were changed since the last `keep`. */
  #touched: CachedOrder[] = [];
  /** The orders with something kept that no saving has. */
  #unsaved: CachedOrder[] = [];
  /** Whether a saving is under way, whose orders are not in the file yet. */
  #isSaving = false;
  /** The sum of the digest's facts about the events that counted since the last `keep`. */
  #counted = 0;
  /** What became of the records folded since the last `keep`. */
  #outcomes = noCounts();
  readonly #news = new News();
  #digest: number;
  #orders: number;
  #held: number;
  #wanted = new Float64Array(1_024);
  #wantedCount = 0;

  constructor(files: StoreFiles) {
    this.#cached = new CachedOrders(files.memory);
    this.#rows = new OrderRows(files);
    ({ digest: this.#digest, orders: this.#orders, held: this.#held } = this.#rows.totals());
    this.view = makeView(this.#cached, this.#rows, () => ({ orders: this.#orders, held: this.#held }));
  }

  get digest(): string {
    return formatDigest(this.#digest);
  }

  get checksum(): number {
    return this.#rows.checksum;
  }

  get unsaved(): number {
    return this.#unsaved.length;
  }

  get news(): readonly LogRecord[] {
    return this.#news.records();
  }

  prepare(batch: Batch, nextOffset: number): void {
    if (!this.#isSaving) this.#forgetSaved();
    if (this.#rows.hasNoRuns) return;
    this.#wantedCount = 0;
    if (batch.blocks === undefined)
      for (const { key, offset } of batch.records) {
        if (key !== null && offset >= nextOffset) this.#want(orderKeyAt(key, 0, key.length));
      }
    else
      for (const block of batch.blocks) {
        const { bytes, places, count } = block;
        for (let n = 0, at = 0; n < count; n++, at += PLACE_NUMBERS) {
          const from = places[at + KEY_FROM] as number;
          if (from >= 0 && offsetIn(block, n) >= nextOffset) this.#want(orderKeyAt(bytes, from, places[at + KEY_TO] as number));
        }
      }
    this.#readWanted();
  }

  fold(record: LogRecord): DeadLetterReason | undefined {
    const event = decodeEvent(record.key, record.value);
    if (isPoison(event)) return this.#refuse(event.poison, event.detail);
    return this.#foldDecoded(event, record);
  }

  foldBlock(block: RecordBlock, nextOffset: number, onRefused: OnRefused): void {
    const { bytes, places, count } = block;
    for (let n = 0, at = 0; n < count; n++, at += PLACE_NUMBERS) {
      if (offsetIn(block, n) < nextOffset) continue;
      const keyFrom = places[at + KEY_FROM] as number;
      const valueFrom = places[at + VALUE_FROM] as number;
      const isScanned =
        keyFrom >= 0 &&
        valueFrom >= 0 &&
        scanner.scan(bytes, keyFrom, places[at + KEY_TO] as number, valueFrom, places[at + VALUE_TO] as number);
      if (isScanned) {
        const reason = this.#foldScanned(block, n);
        if (reason) onRefused(block.record(n), reason);
      } else {
        const record = block.record(n);
        const reason = this.fold(record);
        if (reason) onRefused(record, reason);
      }
    }
  }

  keep(): Outcomes {
    const outcomes = this.#outcomes;
    this.#digest = digestSum(this.#digest, this.#counted);
    for (let n = 0; n < this.#touched.length; n++) {
      const order = this.#touched[n] as CachedOrder;
      const { state, kept } = order;
      this.#digest = digestSum(this.#digest, changeOf(order.name, kept, state));
      this.#held += state.held.length - kept.held.length;
      if (state.order && !kept.order) this.#orders++;
      order.kept = state;
      order.keptSpilled = order.spilled;
      if (order.isUnsaved) continue;
      order.isUnsaved = true;
      this.#unsaved.push(order);
    }
    this.#rows.creates.keep();
    this.#begin();
    return outcomes;
  }

  reset(): void {
    for (const order of this.#touched) {
      order.state = order.kept;
      if (order.newlySpilled) order.newlySpilled.dropNewest(order.spilled - order.keptSpilled);
      order.spilled = order.keptSpilled;
    }
    this.#rows.creates.reset();
    this.#begin();
  }

  save(): Saving {
    const orders = this.#unsaved;
    const spilled = orders.map(({ newlySpilled }) => newlySpilled?.count ?? 0);
    const saving = this.#rows.save(this.#cached, orders, { digest: this.#digest, orders: this.#orders, held: this.#held });
    this.#unsaved = [];
    this.#isSaving = true;
    for (const order of orders) order.isUnsaved = false;
    return {
      ...saving,
      committed: () => {
        saving.committed();
        this.#isSaving = false;
        for (const order of orders) order.isStored = true;
        for (let n = 0; n < orders.length; n++) orders[n]?.newlySpilled?.dropOldest(spilled[n] as number);
        this.#forgetSaved();
      },
      abandoned: () => {
        saving.abandoned();
        this.#isSaving = false;
        for (const order of orders) {
          if (order.isUnsaved) continue;
          order.isUnsaved = true;
          this.#unsaved.push(order);
        }
      },
    };
  }

  hold(): HeldBytes {
    return this.#rows.hold();
  }

  close(): void {
    this.#cached.clear();
  }

  /** Must not be called during a saving, whose orders the file does not have yet. */
  #forgetSaved(): void {
    if (this.#touched.length === 0) this.#cached.forgetSaved(this.#unsaved);
  }

  #begin(): void {
    this.#touched = [];
    this.#counted = 0;
    this.#outcomes = noCounts();
    this.#news.clear();
  }

  /** Notes that the order with the key is to be read, unless it is in memory or the key is none. */
  #want(key: number): void {
    if (key < 0 || this.#cached.get(key) !== undefined) return;
    this.#cached.add(new CachedOrder(key));
    if (this.#wantedCount === this.#wanted.length) {
      const grown = new Float64Array(this.#wanted.length * 2);
      grown.set(this.#wanted);
      this.#wanted = grown;
    }
    this.#wanted[this.#wantedCount++] = key;
  }

  #readWanted(): void {
    const keys = this.#wanted.subarray(0, this.#wantedCount).toSorted();
    try {
      this.#rows.readAll(this.#cached, keys);
    } catch (e) {
      // What was not read must not be taken for an order that does not exist.
      for (const key of keys) this.#cached.delete(key);
      throw e;
    }
  }

  #orderOf(name: OrderName): CachedOrder {
    const known = this.#cached.get(name);
    if (known !== undefined) return known;
    const read = new CachedOrder(name);
    this.#rows.read(read);
    this.#cached.add(read);
    return read;
  }

  #foldDecoded(event: OrderEvent, record: LogRecord): DeadLetterReason | undefined {
    const order = this.#orderOf(nameOf(event.orderId));
    const seenBefore = order.spilled === 0 ? undefined : (id: Identified) => this.#wasSpilled(event.orderId, order, id);
    const { state, outcome } = evolve(order.state, event, seenBefore);
    const taken = outcome === "created" ? this.#withStoredCreate(order.name, state) : state;
    return this.#take(order, taken, outcome, eventFact(event.orderId, event.eventId), record, 0);
  }

  /** Appends what the create said, so that the state need not keep it. */
  #withStoredCreate(name: OrderName, state: OrderState): OrderState {
    if (!state.order) return state;
    const { creates } = this.#rows;
    const fact = createdFact(state.order.created);
    const created = new StoredCreated(creates, name, creates.append(state.order.created, fact), fact);
    return { ...state, order: { ...state.order, created } };
  }

  #foldScanned(block: RecordBlock, n: number): DeadLetterReason | undefined {
    const { event } = scanner;
    const order = this.#orderOf(event.orderKey);
    const { state } = order;
    const seenBefore =
      order.spilled === 0 ? undefined : (id: Identified) => this.#wasSpilled(orderIdOf(event.orderKey), order, id);
    const kind = kinds[event.kind] as EventKind;
    const fact = scannedEventFact(event);
    if (!kind.isCreate) {
      const change = kind.scan?.change(event);
      if (change) {
        const evolution = evolveChange(state, event, change, seenBefore);
        return this.#take(order, evolution.state, evolution.outcome, fact, block, n);
      }
    } else if (kind.scan) {
      const { creates } = this.#rows;
      const created = new StoredCreated(creates, event.orderKey, creates.next, scannedCreatedFact(event));
      const evolution = evolveCreate(state, event, kind.scan.order(created, event), seenBefore);
      if (evolution.outcome === "created") creates.appendScanned(event, created.fact);
      return this.#take(order, evolution.state, evolution.outcome, fact, block, n);
    }
    throw new Error(`An event of the kind ${kind.type} was scanned, and the kind has no scan.`);
  }

  /**
   * Takes what an event made of its order. `fact` is the digest's fact of the event, and `place` with `n` where the
   * event's record is.
   */
  #take(
    order: CachedOrder,
    state: OrderState,
    outcome: Outcome,
    fact: number,
    place: RecordBlock | LogRecord,
    n: number,
  ): DeadLetterReason | undefined {
    const { isKept, isReadable, count, deadLetter } = factsOf(outcome);
    this.#outcomes[count]++;
    if (state !== order.state) {
      if (order.state === order.kept) this.#touched.push(order);
      order.state = state;
      if (state.eventIds.bytes > EVENT_ID_BYTES_MAX) spillEventIds(order);
    }
    if (isReadable) this.#news.note(place, n);
    if (isKept) this.#counted = digestSum(this.#counted, fact);
    return deadLetter && { code: deadLetter.code, detail: deadLetter.detail(orderIdOf(order.name)) };
  }

  #refuse(code: string, detail: string): DeadLetterReason {
    this.#outcomes.dead++;
    return { code, detail };
  }

  #wasSpilled(orderId: string, { newlySpilled }: CachedOrder, { eventId }: Identified): boolean {
    return newlySpilled?.has(eventId) === true || this.#rows.isSpilled(orderId, eventId);
  }
}

/** What a change of an order's state adds to the digest, besides the events that caused it. */
function changeOf(name: OrderName, before: OrderState, after: OrderState): number {
  const change = after.order && after.order !== before.order ? changedFacts(before.order, after.order, name) : 0;
  if (before.held === after.held) return change;
  const orderId = orderIdOf(name);
  return digestSum(digestSum(change, heldFact(orderId, after.held)), -heldFact(orderId, before.held));
}
