import { parseArgs } from "node:util";
import { normalizeOrderId } from "../../orders/order-id.ts";
import type { Clock } from "../../system/clock.ts";
import { invalid } from "../arguments.ts";
import { EXIT_FAILED, EXIT_OK } from "../command.ts";
import { table } from "../terminal/table.ts";
import { type Overview, overviewLines, overviewOf } from "./overview.ts";
import { COUNTED, OrdersByValue, rowLine, rowTexts } from "./rows.ts";
import { type Failure, failureOf, findStores, type Found, type Store, storePaths, storesOfOneTopic } from "./stores.ts";

export const STATE_USAGE = `Usage: bun run state [PATH…] [--json]
       bun run state [PATH…] --order ORD-1
       bun run state [PATH…] --orders
       bun run state [PATH…] --count-by ${COUNTED.join("|")} [--json]

Shows what the stores hold: the order service's of each partition, and the cart's indexes. It reads the files alone, also while the services
run, and changes nothing. It shows the last save, which is up to about a second behind what a service answers. The tables come from each store's own totals, and read no rows; an index's total may count an order twice. Exit code 0: all that was asked for is shown; 1: an order or a store is not; 2: nothing was done.

  PATH         a store (….sqlite, or one that was set aside), or a directory of stores, of a process or of all (default: DATA_DIR)
  --order      the order's row as JSON, in each store that has one: the order, what waits for its create, the ids of the events that
               counted, and where its create is in the store's file of creates (createAt); of an index, where in the log
  --orders     all rows as lines of JSON, ascending by id in each partition; of a directory with orders those, of one without the index.
               Each row is as of one save, and says which (offset); while a service runs, later rows may be as of a later one
  --count-by   how many orders have each value; null are orders of which only updates are known
  --json       lines of JSON in place of tables
`;

/** What the command works with. */
export interface StateContext {
  /** The directory that is meant if none is given. Throws CONFIG_INVALID. */
  readonly dataDir: () => string;
  /** Resolves when the text is written, which a slow reader delays. */
  readonly write: (text: string) => Promise<void>;
  /** Tells a sentence that is not part of what was asked for. */
  readonly tell: (sentence: string) => void;
  readonly clock: Pick<Clock, "now_ms">;
}

/** Shows what stores hold. Resolves with the exit code. Throws an AppError if nothing was done. */
export async function runState(args: readonly string[], context: StateContext): Promise<number> {
  const { paths, order, orders, field, json } = readArguments(args);
  const byValue = field === undefined ? undefined : new OrdersByValue(field);
  const given = paths.length === 0 ? [context.dataDir()] : paths;
  const found = findStores([...new Set(given.flatMap(storePaths))]);
  if (order !== undefined) return showOrder(order, found, context);
  if (orders) return showOrders(found, context);
  if (field !== undefined && byValue) return showCounts(field, byValue, found, json, context);
  return showOverviews(found, json, context);
}

function readArguments(args: readonly string[]) {
  const { values, positionals } = parsed(args);
  const { order, orders = false, "count-by": field, json = false } = values;
  if ([order !== undefined, orders, field !== undefined].filter(Boolean).length > 1)
    throw invalid("--order, --orders and --count-by are three questions: ask one of them.");
  const orderId = order === undefined ? undefined : normalizeOrderId(order);
  if (order !== undefined && orderId === undefined)
    throw invalid(`--order is ${order}; an order id is ORD- and 1 to 64 digits, or the digits alone.`);
  return { paths: positionals, order: orderId, orders, field, json };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        order: { type: "string" },
        orders: { type: "boolean" },
        "count-by": { type: "string" },
        json: { type: "boolean" },
      },
    });
  } catch (e) {
    throw invalid(e instanceof Error ? e.message : String(e));
  }
}

async function showOverviews(found: Found, json: boolean, { write, tell }: StateContext): Promise<number> {
  const overviews: Overview[] = [];
  const failures = [...found.failures, ...each(found.stores, (store) => void overviews.push(overviewOf(store)))];
  if (json) {
    const failed = failures.map(({ path, error: { code, message } }) => ({ store: path, error: { code, message } }));
    await write([...overviews, ...failed].map((one) => `${JSON.stringify(one)}\n`).join(""));
  } else if (overviews.length > 0) await write(`${overviewLines(overviews).join("\n")}\n`);
  return exitCode(overviews.length > 0, failures, json ? () => undefined : tell);
}

async function showOrder(orderId: string, found: Found, { write, tell }: StateContext): Promise<number> {
  const lines: string[] = [];
  const failures = [
    ...found.failures,
    ...each(found.stores, (store) => {
      const line = rowLine(store, orderId);
      if (line !== undefined) lines.push(line);
    }),
  ];
  await write(lines.join(""));
  if (lines.length === 0) tell(`No store that could be read has ${orderId}.`);
  return exitCode(lines.length > 0, failures, tell);
}

async function showOrders(found: Found, { write, tell, clock }: StateContext): Promise<number> {
  const { stores, failures, notes } = storesOfOneTopic(found);
  for (const note of notes) tell(note);
  const failed = [...failures];
  for (const store of stores) {
    try {
      for (const text of rowTexts(store, clock)) await write(text);
    } catch (e) {
      failed.push(failureOf(store.path, e));
    }
  }
  return exitCode(found.stores.length > 0, failed, tell);
}

async function showCounts(
  field: string,
  byValue: OrdersByValue,
  found: Found,
  json: boolean,
  { write, tell, clock }: StateContext,
): Promise<number> {
  const { stores, failures, notes } = storesOfOneTopic(found);
  if (stores.some(({ shown }) => shown.what === "index")) throw invalid("--count-by is for orders; an index has only their ids.");
  for (const note of notes) tell(note);
  const failed = each(stores, (store) => {
    const note = byValue.count(store, clock);
    if (note !== undefined) tell(note);
  });
  for (const { path } of failed) tell(`The orders of ${path} are not counted.`);
  const entries = byValue.entries();
  const lines = json
    ? entries.map(([value, orders]) => `{${JSON.stringify(field)}:${value},"orders":${orders}}`)
    : table(
        [field, "orders"],
        entries.map(([value, orders]) => [String(JSON.parse(value)), orders]),
      );
  await write(lines.map((line) => `${line}\n`).join(""));
  return exitCode(found.stores.length > 0, [...failures, ...failed], tell);
}

/** Calls back for each store. Returns those for which that failed. */
function each(stores: readonly Store[], call: (store: Store) => void): Failure[] {
  const failures: Failure[] = [];
  for (const store of stores) {
    try {
      call(store);
    } catch (e) {
      failures.push(failureOf(store.path, e));
    }
  }
  return failures;
}

function exitCode(isShown: boolean, failures: readonly Failure[], tell: (sentence: string) => void): number {
  for (const { error } of failures) tell(error.message);
  return isShown && failures.length === 0 ? EXIT_OK : EXIT_FAILED;
}
