import { type Order, orderFields } from "../../orders/order.ts";
import { readView, scanViews } from "../../runtime/store/read-views/reading-views.ts";
import type { ReadView } from "../../runtime/store/read-views/read-view.ts";
import type { Clock } from "../../system/clock.ts";
import { invalid } from "../arguments.ts";
import { kindOf, type ShownRow } from "./store-kinds.ts";
import type { Store } from "./stores.ts";

/** How much text of rows is collected before it is written, while no read view is open. */
const TEXT_CHARS_MAX = 2 << 20;

type ScanClock = Pick<Clock, "now_ms">;

/** The row of that order, with the store's path; undefined if the store has none. */
export const rowLine = ({ path }: Store, orderId: string): string | undefined =>
  readView(path, (view) => {
    const row = kindOf(view).open(view.files).row(orderId);
    return row && `{"store":${JSON.stringify(path)},${lineMembers(row, view)}}\n`;
  });

/** All rows of the store as lines, ascending by id, in texts of some megabytes. */
export function* rowTexts({ path }: Store, clock: ScanClock): Generator<string> {
  let lines: string[] = [];
  let chars = 0;
  const scan = scanViews(path, clock, rowsAfter, (row, view) => {
    const line = `{${lineMembers(row, view)}}\n`;
    lines.push(line);
    chars += line.length;
    return chars >= TEXT_CHARS_MAX;
  });
  for (let isOver: boolean | undefined = false; !isOver;) {
    try {
      isOver = scan.next().done;
    } catch (e) {
      yield lines.join("");
      throw e;
    }
    yield lines.join("");
    lines = [];
    chars = 0;
  }
}

const rowsAfter = (view: ReadView, after: string): Iterable<ShownRow> => kindOf(view).open(view.files).rowsAfter(after);

/** An order's row says how far its partition was when it was saved; an index has rows of all partitions. */
function lineMembers(row: ShownRow, { positions: [position, ...others] }: ReadView): string {
  const isOfOne = "order" in row && position !== undefined && others.length === 0;
  return `${isOfOne ? `"partition":${position.partition},"offset":${position.nextOffset},` : ""}${row.members()}`;
}

/** The fields by which orders are counted: those that may change, and the currency. */
const COUNTED_FIELDS = orderFields.filter(({ field, fact }) => fact !== "created" || field === "currency");
export const COUNTED = COUNTED_FIELDS.map(({ member }) => member);

/** How many orders have each value of a field; those of which only updates are known have none. */
export class OrdersByValue {
  readonly #json: (order: Order) => string;
  readonly #counts = new Map<string, number>();

  /** Throws OPTION_INVALID if orders are not counted by the field. */
  constructor(field: string) {
    const found = COUNTED_FIELDS.find(({ member }) => member === field);
    if (!found) throw invalid(`--count-by is ${field}; orders are counted by ${COUNTED.join(" or ")}.`);
    this.#json = found.json;
  }

  /** Adds the store's orders, or throws and adds none. Returns a note if it was saved while they were counted. */
  count({ path }: Store, clock: ScanClock): string | undefined {
    const counts = new Map<string, number>();
    let first: number | undefined;
    let last = 0;
    const scan = scanViews(path, clock, rowsAfter, ({ order }, { positions }) => {
      last = positions[0]?.nextOffset ?? 0;
      first ??= last;
      const value = order ? this.#json(order) : "null";
      counts.set(value, (counts.get(value) ?? 0) + 1);
      return false;
    });
    while (!scan.next().done) continue;
    for (const [value, orders] of counts) this.#counts.set(value, (this.#counts.get(value) ?? 0) + orders);
    return first === undefined || first === last
      ? undefined
      : `${path} was saved meanwhile: its orders are counted as of offsets from ${first} to ${last}, each once.`;
  }

  /** The values as JSON, and the number of orders of each, the most first. */
  entries(): [value: string, orders: number][] {
    return [...this.#counts].toSorted(([a, most], [b, least]) => least - most || (a < b ? -1 : 1));
  }
}
