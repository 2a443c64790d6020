import { SortedRuns } from "../../../runtime/store/runs/sorted-runs.ts";

/** The names of the files beside the database. */
export const RECORDS_FILE = "records";
export const CREATES_FILE = "creates";

/** The runs of the orders whose ids have a key. */
export const RUNS_NAME = "orders";

/**
 * The records of orders are in sorted runs, and what their creates said in a file of its own. The database says what of
 * the two files counts, and has what is rare: orders with long ids, and event ids that left their record.
 */
export const ORDERS_SCHEMA = `
    ${SortedRuns.schema(RUNS_NAME)}
    CREATE TABLE long_orders (order_id TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE spilled_event_ids (
      order_id TEXT NOT NULL, event_id TEXT NOT NULL, PRIMARY KEY (order_id, event_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE totals (
      one INTEGER PRIMARY KEY CHECK (one = 1), digest INTEGER NOT NULL, orders INTEGER NOT NULL, held INTEGER NOT NULL,
      creates_bytes INTEGER NOT NULL
    ) STRICT;
    INSERT INTO totals VALUES (1, 0, 0, 0, 0);`;
