import type { Clock } from "../../../system/clock.ts";
import { isDamage } from "../store-failures.ts";
import { Snapshot } from "./snapshot.ts";
import { storeError } from "./snapshot-failures.ts";

/** How often a snapshot is taken anew because the store was changed while nothing of it could be read. */
const TRIES_MAX = 10;
/** A snapshot is held no longer, since SQLite's write-ahead log only grows meanwhile. A service saves as often. */
const SNAPSHOT_MS_MAX = 1_000;

/**
 * Reads something of a store, all of it as of one save. Throws an AppError if that cannot be read.
 */
export function readSnapshot<Read>(path: string, read: (snapshot: Snapshot) => Read): Read {
  for (let tries = 1; ; tries++) {
    using snapshot = new Snapshot(path);
    try {
      const found = read(snapshot);
      if (!snapshot.isOverwritten || tries === TRIES_MAX) return found;
    } catch (e) {
      if (tries === TRIES_MAX || !isStale(snapshot, e)) throw storeError(path, e);
    }
  }
}

/**
 * Goes through the rows of a store in the order of their ids. Each row is as of one save; what comes later may be as of
 * a later one, since a snapshot is given up after a second, when `onRow` returns true, or if its rows are written over.
 * A row that is there all the time comes once. Between two snapshots it yields, so whoever is slow keeps none open.
 *
 * `rowsAfter` gives the snapshot's rows whose ids are above that one, ascending. Throws an AppError if one cannot be
 * read.
 */
export function* scanSnapshots<Row extends { readonly orderId: string }>(
  path: string,
  clock: Pick<Clock, "now_ms">,
  rowsAfter: (snapshot: Snapshot, after: string) => Iterable<Row>,
  onRow: (row: Row, snapshot: Snapshot) => boolean,
): Generator<void> {
  let after = "";
  for (let tries = 1; ; tries++) {
    {
      using snapshot = new Snapshot(path);
      const until_ms = clock.now_ms() + SNAPSHOT_MS_MAX;
      let isAtEnd = true;
      try {
        for (const row of rowsAfter(snapshot, after)) {
          const isEnough = onRow(row, snapshot);
          after = row.orderId;
          tries = 0;
          isAtEnd = !isEnough && clock.now_ms() < until_ms;
          if (!isAtEnd) break;
        }
      } catch (e) {
        if (tries >= TRIES_MAX || !isStale(snapshot, e)) throw storeError(path, e);
        isAtEnd = false;
      }
      if (isAtEnd) return;
    }
    yield;
  }
}

/** Whether what looks like damage may be none, since the store has saved something since. */
const isStale = (snapshot: Snapshot, e: unknown): boolean => isDamage(e) && !snapshot.isLatest();
