import type { StoreDatabase } from "../../../runtime/store/store-database.ts";
import type { LogRecord } from "../../../log/port.ts";
import { createdFact, DIGEST_MODULUS, digestSum, eventFact, formatDigest, heldFact, statusFact } from "../../../orders/digest.ts";
import { decodeEvent, isPoison } from "../../../orders/event.ts";
import {
  evolve,
  HELD_OVERFLOW,
  HELD_UPDATES_MAX,
  initialState,
  type Item,
  type OrderState,
  type Outcome,
  type Status,
} from "../../../orders/order.ts";
import type { DeadLetterReason, Projection, ProjectionStore } from "../../../runtime/projection.ts";
import { damagedRow } from "../../../runtime/store/store-failures.ts";
import type { Outcomes } from "../../../telemetry/meters.ts";
import type { OrderCounts, OrderRow, OrdersView } from "./orders-view.ts";

/**
 * An order is one row: what it is, the updates held until its create, and the ids of its newest events, so that a batch reads and
 * writes each order once, however many of its events it holds. The ids beyond EVENT_IDS_CHARS_MAX move to a table, by event and not
 * by batch: the rows are a function of the log, not of how it was read.
 */
const EVENT_IDS_CHARS_MAX = 2_048;

export const orderProjection: Projection<OrdersView> = {
  name: "orders",
  version: 3,
  schema: `
    CREATE TABLE orders (
      order_id TEXT PRIMARY KEY,
      customer_id TEXT, order_date TEXT, items TEXT, total_hundredths INTEGER, currency TEXT, status TEXT,
      held TEXT NOT NULL, event_ids TEXT NOT NULL, spilled INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE spilled_event_ids (
      order_id TEXT NOT NULL, event_id TEXT NOT NULL, PRIMARY KEY (order_id, event_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE digest (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL) STRICT;
    INSERT INTO digest VALUES (1, 0);`,
  open: (db) => new OrderStore(db),
};

type Row = [
  order_id: string,
  customer_id: string | null,
  order_date: string,
  items: string,
  total_hundredths: number,
  currency: string,
  status: Status,
  held: string,
  event_ids: string,
  spilled: number,
];

interface Touched {
  state: OrderState;
  /** What the row holds, undefined where there is none yet. */
  readonly before: OrderState | undefined;
  /** Event ids that left the row, already in the table or (the new ones) to be written with the batch. */
  spilled: number;
  newlySpilled: string[];
}

const noOutcomes = () => ({ applied: 0, held: 0, duplicate: 0, ignored: 0, dead: 0 });

const COLUMNS = "order_id, customer_id, order_date, items, total_hundredths, currency, status, held, event_ids, spilled";

class OrderStore implements ProjectionStore<OrdersView> {
  readonly view: OrdersView;
  #touched = new Map<string, Touched>();
  /** The facts of the events that counted since the last flush. */
  #counted = 0;
  /** Of the records folded since the last flush. */
  #outcomes = noOutcomes();
  #news: LogRecord[] = [];
  readonly #select;
  readonly #insert;
  readonly #update;
  readonly #updateStatus;
  readonly #isSpilled;
  readonly #spilled;
  readonly #spill;
  readonly #addToDigest;
  readonly #digest;
  readonly #countRows;
  readonly #countHeld;
  /** Of the committed rows; undefined until asked for, and again when a transaction failed. */
  #counts: OrderCounts | undefined;

  constructor(db: StoreDatabase) {
    // Only rows with held updates are in it, so it costs the others nothing. A store from before it was there gets it here.
    db.run("CREATE INDEX IF NOT EXISTS orders_with_held ON orders (order_id) WHERE held <> ''");
    this.#select = db.query<Row, [string]>(`SELECT ${COLUMNS} FROM orders WHERE order_id = ?`);
    this.#insert = db.query(`INSERT INTO orders (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#update =
      db.query(`UPDATE orders SET customer_id = ?2, order_date = ?3, items = ?4, total_hundredths = ?5, currency = ?6,
      status = ?7, held = ?8, event_ids = ?9, spilled = ?10 WHERE order_id = ?1`);
    this.#updateStatus = db.query("UPDATE orders SET status = ?, event_ids = ?, spilled = ? WHERE order_id = ?");
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
    this.#count(outcome);
    if (state.eventIds.length > EVENT_IDS_CHARS_MAX) spillEventIds(known);
    if (outcome === "created" || outcome === "updated") this.#news[this.#news.length === 0 ? 0 : 1] = record;
    if (outcome === "created" || outcome === "updated" || outcome === "held")
      this.#counted = digestSum(this.#counted, eventFact(orderId, event.eventId));
    if (outcome !== "held-overflow") return undefined;
    return { code: HELD_OVERFLOW, detail: `${HELD_UPDATES_MAX} updates of ${orderId} already wait for its create` };
  }

  get news(): readonly LogRecord[] {
    return this.#news;
  }

  /** Of the committed rows; kept with them in each transaction. */
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
      const { order, held, eventIds } = state;
      waiting += held.length - (before?.held.length ?? 0);
      if (order && !before?.order) orders++;
      if (before?.order && order) this.#updateStatus.run(order.status, eventIds, spilled, orderId);
      else {
        (before ? this.#update : this.#insert).run(
          orderId,
          order?.customerId ?? null,
          order?.orderDate ?? null,
          order ? encodeItems(order.items) : null,
          order?.total_hundredths ?? null,
          order?.currency ?? null,
          order?.status ?? null,
          held.length === 0 ? "" : held.join(" "),
          eventIds,
          spilled,
        );
      }
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
    this.#outcomes = noOutcomes();
    this.#news = [];
    this.#counts = undefined;
  }

  #countRowsAndHeld(): OrderCounts {
    const [rows] = this.#countRows.values()[0] as [number];
    // A row without an order has held updates, and one with an order has none.
    const [rowsWithHeld, held] = this.#countHeld.values()[0] as [number, number];
    return { orders: rows - rowsWithHeld, held };
  }

  /** Under what each outcome is counted. */
  #count(outcome: Outcome): void {
    if (outcome === "created" || outcome === "updated") this.#outcomes.applied++;
    else if (outcome === "held") this.#outcomes.held++;
    else if (outcome === "duplicate") this.#outcomes.duplicate++;
    else if (outcome === "already-created") this.#outcomes.ignored++;
    else this.#outcomes.dead++;
  }

  #load(orderId: string): Touched | undefined {
    const row = this.#select.values(orderId)[0] as Row | undefined;
    if (!row) return undefined;
    const [, customerId, orderDate, items, total_hundredths, currency, status, held, eventIds, spilled] = row;
    const order =
      customerId === null
        ? undefined
        : { orderId, customerId, orderDate, items: decodeItems(orderId, items), total_hundredths, currency, status };
    const state = { order, held: held === "" ? initialState.held : (held.split(" ") as Status[]), eventIds };
    return { state, before: state, spilled, newlySpilled: [] };
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

/** What a change of an order adds to the digest, beside the events that made it. */
function changeOf(orderId: string, before: OrderState, after: OrderState): number {
  let change = 0;
  if (before.order?.status !== after.order?.status) {
    if (before.order) change = digestSum(change, -statusFact(orderId, before.order.status));
    if (after.order) change = digestSum(change, statusFact(orderId, after.order.status));
  }
  if (!before.order && after.order) change = digestSum(change, createdFact(after.order));
  if (before.held !== after.held)
    change = digestSum(digestSum(change, heldFact(orderId, after.held)), -heldFact(orderId, before.held));
  return change;
}

function spillEventIds(touched: Touched): void {
  const eventIds = touched.state.eventIds.slice(1, -1).split("\n");
  touched.newlySpilled.push(...eventIds);
  touched.spilled += eventIds.length;
  touched.state = { ...touched.state, eventIds: initialState.eventIds };
}

const encodeItems = (items: readonly Item[]): string =>
  JSON.stringify(items.map((item) => [item.itemId, item.quantity, item.price_hundredths]));

function decodeItems(orderId: string, items: string): Item[] {
  try {
    return (JSON.parse(items) as [string, number, number][]).map(([itemId, quantity, price_hundredths]) => ({
      itemId,
      quantity,
      price_hundredths,
    }));
  } catch (e) {
    throw damagedRow(`the items of ${orderId}`, e);
  }
}
