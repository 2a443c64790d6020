import type { StoreDatabase } from "../../../runtime/store/store-database.ts";
import type { LogRecord } from "../../../log/port.ts";
import { changedFacts, DIGEST_MODULUS, digestSum, eventFact, formatDigest, heldFact } from "../../../orders/digest.ts";
import { decodeEvent } from "../../../orders/events/decode.ts";
import { isPoison } from "../../../orders/events/poison.ts";
import { evolve, initialState, type OrderState } from "../../../orders/fold.ts";
import { factsOf, RECORD_COUNTS, type RecordCount } from "../../../orders/outcomes.ts";
import type { DeadLetterReason, Projection, ProjectionStore } from "../../../runtime/projection.ts";
import type { Outcomes } from "../../../telemetry/meters.ts";
import type { OrderCounts, OrderRow, OrdersView } from "./orders-view.ts";
import { OrderRows, ORDERS_TABLE, ROWS_VERSION } from "./order-rows.ts";

/**
 * An order is one row: the order itself, the updates held until its create, and the ids of its newest events. So a
 * batch reads and writes each order once, however many of its events it has. When the ids are longer than this, they
 * move to a table of their own. They move after an event, not after a batch, because the rows must depend on the log
 * alone and not on how it was read (I3).
 */
const EVENT_IDS_CHARS_MAX = 2_048;

export const orderProjection: Projection<OrdersView> = {
  name: "orders",
  version: ROWS_VERSION,
  schema: `
    ${ORDERS_TABLE}
    CREATE TABLE spilled_event_ids (
      order_id TEXT NOT NULL, event_id TEXT NOT NULL, PRIMARY KEY (order_id, event_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE digest (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL) STRICT;
    INSERT INTO digest VALUES (1, 0);`,
  open: (db) => new OrderStore(db),
};

interface Touched {
  state: OrderState;
  /** What the row holds; undefined if there is no row yet. */
  readonly before: OrderState | undefined;
  /**
   * How many event ids have left the row: they are in the table already or, if newly spilled, are written with the
   * batch.
   */
  spilled: number;
  newlySpilled: string[];
}

const noCounts = () => Object.fromEntries(RECORD_COUNTS.map((count) => [count, 0])) as Record<RecordCount, number>;

class OrderStore implements ProjectionStore<OrdersView> {
  readonly view: OrdersView;
  #touched = new Map<string, Touched>();
  /** The sum of the digest's facts about the events that counted since the last flush. */
  #counted = 0;
  /** What became of the records folded since the last flush. */
  #outcomes = noCounts();
  #news: LogRecord[] = [];
  readonly #rows;
  readonly #isSpilled;
  readonly #spilled;
  readonly #spill;
  readonly #addToDigest;
  readonly #digest;
  readonly #countRows;
  readonly #countHeld;
  /** The counts over the committed rows; undefined until they are asked for, and again after a failed transaction. */
  #counts: OrderCounts | undefined;

  constructor(db: StoreDatabase) {
    // Only rows with held updates are in this index, so it costs the others nothing. A store that is older than the
    // index gets it here.
    db.run("CREATE INDEX IF NOT EXISTS orders_with_held ON orders (order_id) WHERE held <> ''");
    this.#rows = new OrderRows(db);
    this.#isSpilled = db.query("SELECT 1 FROM spilled_event_ids WHERE order_id = ? AND event_id = ?");
    this.#spilled = db.query<[string], [string]>("SELECT event_id FROM spilled_event_ids WHERE order_id = ?");
    this.#spill = db.query("INSERT INTO spilled_event_ids VALUES (?, ?)");
    this.#addToDigest = db.query(`UPDATE digest SET value = (value + ?) % ${DIGEST_MODULUS}`);
    this.#digest = db.query<[number], []>("SELECT value FROM digest");
    this.#countRows = db.query<[number], []>("SELECT count(*) FROM orders");
    this.#countHeld = db.query<[number, number], []>(
      "SELECT count(*), coalesce(sum(1 + length(held) - length(replace(held, ' ', ''))), 0) FROM orders WHERE held <> ''",
    );
    const hasRow = db.query<[number], [string]>("SELECT 1 FROM orders WHERE order_id = ?");
    const idsAfter = db.query<[string], [string, number]>(
      "SELECT order_id FROM orders WHERE order_id > ? ORDER BY order_id LIMIT ?",
    );
    const orderIdsAfter = (after: string, limit: number) =>
      (idsAfter.values(after, limit) as [string][]).map(([orderId]) => orderId);
    this.view = {
      order: (orderId) => this.#load(orderId)?.state.order,
      orderIdsAfter,
      rowsAfter: (after, limit) => orderIdsAfter(after, limit).map((orderId) => this.#row(orderId)),
      hasRow: (orderId) => hasRow.get(orderId) !== null,
      counts: () => (this.#counts ??= this.#countRowsAndHeld()),
    };
  }

  fold(record: LogRecord): DeadLetterReason | undefined {
    const event = decodeEvent(record.key, record.value);
    if (isPoison(event)) {
      this.#outcomes.dead++;
      return { code: event.poison, detail: event.detail };
    }
    const { orderId } = event;
    let touched = this.#touched.get(orderId);
    if (!touched) {
      touched = this.#load(orderId) ?? { state: initialState, before: undefined, spilled: 0, newlySpilled: [] };
      this.#touched.set(orderId, touched);
    }
    const known = touched;
    const { state, outcome } = evolve(
      known.state,
      event,
      known.spilled === 0 ? undefined : (eventId) => this.#wasSpilled(orderId, known, eventId),
    );
    known.state = state;
    const { isKept, isReadable, count, deadLetter } = factsOf(outcome);
    this.#outcomes[count]++;
    if (state.eventIds.length > EVENT_IDS_CHARS_MAX) spillEventIds(known);
    if (isReadable) this.#news[this.#news.length === 0 ? 0 : 1] = record;
    if (isKept) this.#counted = digestSum(this.#counted, eventFact(orderId, event.eventId));
    return deadLetter && { code: deadLetter.code, detail: deadLetter.detail(orderId) };
  }

  get news(): readonly LogRecord[] {
    return this.#news;
  }

  /** The digest of the committed rows. It is stored with them, in the same transaction. */
  get digest(): string {
    return formatDigest((this.#digest.values()[0] as [number])[0]);
  }

  flush(): Outcomes {
    const outcomes = this.#outcomes;
    let digest = this.#counted;
    let orders = 0;
    let waiting = 0;
    for (const [orderId, { state, before, spilled, newlySpilled }] of this.#touched) {
      if (state === (before ?? initialState)) continue;
      digest = digestSum(digest, changeOf(orderId, before ?? initialState, state));
      for (const eventId of newlySpilled) this.#spill.run(orderId, eventId);
      waiting += state.held.length - (before?.held.length ?? 0);
      if (state.order && !before?.order) orders++;
      this.#rows.write(orderId, before, state, spilled);
    }
    if (digest !== 0) this.#addToDigest.run(digest);
    const counts = this.#counts;
    this.reset();
    if (counts) this.#counts = { orders: counts.orders + orders, held: counts.held + waiting };
    return outcomes;
  }

  reset(): void {
    this.#touched = new Map();
    this.#counted = 0;
    this.#outcomes = noCounts();
    this.#news = [];
    this.#counts = undefined;
  }

  #countRowsAndHeld(): OrderCounts {
    const [rows] = this.#countRows.values()[0] as [number];
    // The rows with held updates are exactly those without an order.
    const [rowsWithHeld, held] = this.#countHeld.values()[0] as [number, number];
    return { orders: rows - rowsWithHeld, held };
  }

  #load(orderId: string): Touched | undefined {
    const found = this.#rows.find(orderId);
    return found && { ...found, before: found.state, newlySpilled: [] };
  }

  #row(orderId: string): OrderRow {
    const { order, held, eventIds } = this.#load(orderId)?.state ?? initialState;
    const spilled = (this.#spilled.values(orderId) as [string][]).map(([eventId]) => eventId);
    return { orderId, order, held, eventIds: [...spilled, ...eventIds.split("\n").filter((eventId) => eventId !== "")] };
  }

  #wasSpilled(orderId: string, touched: Touched, eventId: string): boolean {
    return touched.newlySpilled.includes(eventId) || this.#isSpilled.get(orderId, eventId) !== null;
  }
}

/** What a change of an order's state adds to the digest, besides the events that caused it. */
function changeOf(orderId: string, before: OrderState, after: OrderState): number {
  const change = after.order && after.order !== before.order ? changedFacts(before.order, after.order) : 0;
  if (before.held === after.held) return change;
  return digestSum(digestSum(change, heldFact(orderId, after.held)), -heldFact(orderId, before.held));
}

function spillEventIds(touched: Touched): void {
  const eventIds = touched.state.eventIds.slice(1, -1).split("\n");
  touched.newlySpilled.push(...eventIds);
  touched.spilled += eventIds.length;
  touched.state = { ...touched.state, eventIds: initialState.eventIds };
}
