import type { Clock } from "../../../system/clock.ts";
import { isDamage } from "../store-failures.ts";
import { ReadView } from "./read-view.ts";
import { storeError } from "./read-view-failures.ts";

/** How often a read view is taken anew because the store was changed while nothing of it could be read. */
const TRIES_MAX = 10;
/** A read view is held no longer, since SQLite's write-ahead log only grows meanwhile. A service saves as often. */
const VIEW_MS_MAX = 1_000;

/**
 * Reads something of a store, all of it as of one save. Throws an AppError if that cannot be read.
 */
export function readView<Read>(path: string, read: (view: ReadView) => Read): Read {
  for (let tries = 1; ; tries++) {
    using view = new ReadView(path);
    try {
      const found = read(view);
      if (!view.isOverwritten || tries === TRIES_MAX) return found;
    } catch (e) {
      if (tries === TRIES_MAX || !isStale(view, e)) throw storeError(path, e);
    }
  }
}

/**
 * Goes through the rows of a store in the order of their ids. Each row is as of one save; what comes later may be as of
 * a later one, since a read view is given up after a second, when `onRow` returns true, or if its rows are written over.
 * A row that is there all the time comes once. Between two read views it yields, so whoever is slow keeps none open.
 *
 * `rowsAfter` gives the read view's rows whose ids are above that one, ascending. Throws an AppError if one cannot be
 * read.
 */
export function* scanViews<Row extends { readonly orderId: string }>(
  path: string,
  clock: Pick<Clock, "now_ms">,
  rowsAfter: (view: ReadView, after: string) => Iterable<Row>,
  onRow: (row: Row, view: ReadView) => boolean,
): Generator<void> {
  let after = "";
  for (let tries = 1; ; tries++) {
    {
      using view = new ReadView(path);
      const until_ms = clock.now_ms() + VIEW_MS_MAX;
      let isAtEnd = true;
      try {
        for (const row of rowsAfter(view, after)) {
          const isEnough = onRow(row, view);
          after = row.orderId;
          tries = 0;
          isAtEnd = !isEnough && clock.now_ms() < until_ms;
          if (!isAtEnd) break;
        }
      } catch (e) {
        if (tries >= TRIES_MAX || !isStale(view, e)) throw storeError(path, e);
        isAtEnd = false;
      }
      if (isAtEnd) return;
    }
    yield;
  }
}

/** Whether what looks like damage may be none, since the store has saved something since. */
const isStale = (view: ReadView, e: unknown): boolean => isDamage(e) && !view.isLatest();
