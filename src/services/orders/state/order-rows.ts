import type { SQLQueryBindings } from "bun:sqlite";
import { readChange, writeChange } from "../../../orders/events/kinds.ts";
import { initialState, type OrderState } from "../../../orders/fold.ts";
import type { Item, Order, Status } from "../../../orders/order.ts";
import type { StoreDatabase } from "../../../runtime/store/store-database.ts";
import { damagedRow } from "../../../runtime/store/store-failures.ts";

/**
 * The version of the rows. It is raised with every change of what they hold, or of what they mean: a store of another
 * version is set aside and rebuilt from the log.
 */
export const ROWS_VERSION = 3;

type Field = Exclude<keyof Order, "orderId">;

interface Column {
  readonly field: Field;
  readonly name: string;
  readonly type: "TEXT" | "INTEGER";
  /**
   * Whether the create sets the column and it is written again only when an event has changed it. So a change of the
   * other columns does not pay for those that are expensive to write.
   */
  readonly isLasting: boolean;
}

/** The column of each field of an order. The compiler demands every field, here and in the three functions below. */
const ORDER_COLUMNS = [
  { field: "customerId", name: "customer_id", type: "TEXT", isLasting: true },
  { field: "orderDate", name: "order_date", type: "TEXT", isLasting: true },
  { field: "items", name: "items", type: "TEXT", isLasting: true },
  { field: "total_hundredths", name: "total_hundredths", type: "INTEGER", isLasting: true },
  { field: "currency", name: "currency", type: "TEXT", isLasting: true },
  { field: "status", name: "status", type: "TEXT", isLasting: false },
] as const satisfies readonly Column[];

type OrderColumns = typeof ORDER_COLUMNS;

type StoredIn<Columns> = {
  readonly [I in keyof Columns]: Columns[I] extends { readonly type: "INTEGER" } ? number : string;
};

type Changing<Columns> = Columns extends readonly [infer First, ...infer Others]
  ? First extends { readonly isLasting: false }
    ? [First, ...Changing<Others>]
    : Changing<Others>
  : [];

/**
 * A row as SQLite returns it: the key, then ORDER_COLUMNS, which are all null until the order is created, then what is
 * kept besides the order.
 */
type Row = readonly [orderId: string, ...order: StoredIn<OrderColumns>, held: string, eventIds: string, spilled: number];

/** Makes the compiler refuse the list above if a field of an order has no column. */
type EveryField<Listed> = [Field] extends [Listed] ? readonly Column[] : `${Exclude<Field, Listed> & string} has no column`;
const columns: readonly Column[] = ORDER_COLUMNS satisfies EveryField<OrderColumns[number]["field"]>;

const lastingFields = columns.filter(({ isLasting }) => isLasting).map(({ field }) => field);
const changing = columns.filter(({ isLasting }) => !isLasting);

const names = columns.map(({ name }) => name);
const ROW_COLUMNS = ["order_id", ...names, "held", "event_ids", "spilled"].join(", ");

/**
 * The table of orders. `held` is empty if nothing waits; an order that is not created yet has null in all its own
 * columns.
 */
export const ORDERS_TABLE = `CREATE TABLE orders (
      order_id TEXT PRIMARY KEY,
      ${columns.map(({ name, type }) => `${name} ${type}`).join(", ")},
      held TEXT NOT NULL, event_ids TEXT NOT NULL, spilled INTEGER NOT NULL
    ) STRICT;`;

const assignments = (of: readonly { readonly name: string }[]): string => of.map(({ name }) => `${name} = ?`).join(", ");

const placeholders = ROW_COLUMNS.replace(/\w+/g, "?");
const INSERT_ROW = `INSERT INTO orders (${ROW_COLUMNS}) VALUES (${placeholders})`;
const UPDATE_ROW = `UPDATE orders SET ${assignments(columns)}, held = ?, event_ids = ?, spilled = ? WHERE order_id = ?`;
const UPDATE_CHANGING = `UPDATE orders SET ${assignments(changing)}, event_ids = ?, spilled = ? WHERE order_id = ?`;

/** Whether UPDATE_CHANGING writes every difference. */
function hasLasted(before: Order, after: Order): boolean {
  for (const field of lastingFields) if (before[field] !== after[field]) return false;
  return true;
}

/** The values of the columns that do not last, for UPDATE_CHANGING. */
const changingOf = ({ status }: Order): StoredIn<Changing<OrderColumns>> => [status];

const storedOf = ({ customerId, orderDate, items, total_hundredths, currency, status }: Order): StoredIn<OrderColumns> => [
  customerId,
  orderDate,
  writeItems(items),
  total_hundredths,
  currency,
  status,
];

const NOT_CREATED = columns.map(() => null);

/** All parameters of UPDATE_CHANGING. */
const changingValues = (order: Order, eventIds: string, spilled: number): SQLQueryBindings[] => [
  ...changingOf(order),
  eventIds,
  spilled,
  order.orderId,
];

/** The parameters of UPDATE_ROW, except for the key, which comes last; in INSERT_ROW it comes first. */
function rowValues({ order, held, eventIds }: OrderState, spilled: number): SQLQueryBindings[] {
  const values: SQLQueryBindings[] = order ? [...storedOf(order)] : [...NOT_CREATED];
  values.push(writeHeld(held), eventIds, spilled);
  return values;
}

function stateOfRow(row: Row): FoundRow {
  const [orderId, customerId, orderDate, items, total_hundredths, currency, status, held, eventIds, spilled] = row;
  const order: Order | undefined =
    // All of the order's columns are null until it is created.
    (customerId as string | null) === null
      ? undefined
      : {
          orderId,
          customerId,
          orderDate,
          items: readItems(orderId, items),
          total_hundredths,
          currency,
          status: status as Status,
        };
  return { state: { order, held: held === "" ? initialState.held : readHeld(orderId, held), eventIds }, spilled };
}

/** Writes the changes as words with a space between them; no word contains one. */
const writeHeld = (held: OrderState["held"]): string => (held.length === 0 ? "" : held.map(writeChange).join(" "));

const readHeld = (orderId: string, held: string): OrderState["held"] =>
  held.split(" ").map((word) => {
    const change = readChange(word);
    if (!change) throw damagedRow(`the held updates of ${orderId}`, `${word} is no change of an order`);
    return change;
  });

const writeItems = (items: readonly Item[]): string =>
  JSON.stringify(items.map((item) => [item.itemId, item.quantity, item.price_hundredths]));

function readItems(orderId: string, items: string): Item[] {
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

export interface FoundRow {
  readonly state: OrderState;
  /** How many of the order's event ids are in a table of their own. */
  readonly spilled: number;
}

/** The rows of orders, in a database that has ORDERS_TABLE. */
export class OrderRows {
  readonly #select;
  readonly #insert;
  readonly #update;
  readonly #updateChanging;

  constructor(db: StoreDatabase) {
    this.#select = db.query<Row, [string]>(`SELECT ${ROW_COLUMNS} FROM orders WHERE order_id = ?`);
    this.#insert = db.query(INSERT_ROW);
    this.#update = db.query(UPDATE_ROW);
    this.#updateChanging = db.query(UPDATE_CHANGING);
  }

  find(orderId: string): FoundRow | undefined {
    const row = this.#select.values(orderId)[0] as Row | undefined;
    return row && stateOfRow(row);
  }

  /** `before` is what the row holds; undefined if there is no row yet. */
  write(orderId: string, before: OrderState | undefined, after: OrderState, spilled: number): void {
    if (!before) this.#insert.run(orderId, ...rowValues(after, spilled));
    else if (before.order && after.order && hasLasted(before.order, after.order))
      this.#updateChanging.run(...changingValues(after.order, after.eventIds, spilled));
    else this.#update.run(...rowValues(after, spilled), orderId);
  }
}
