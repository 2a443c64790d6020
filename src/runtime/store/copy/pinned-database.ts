import { constants, Database } from "bun:sqlite";

/** What a cell of a row may be. */
export type Cell = number | string | Uint8Array | null;

export interface TableRows {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: Iterable<readonly Cell[]>;
}

/**
 * All rows of a database as they were when it was pinned, while others write to it. Holding it keeps SQLite's
 * write-ahead log from becoming shorter, so it is closed as soon as the rows are read.
 */
export interface PinnedDatabase {
  /** Each table's rows, read as they are asked for, one table after the other. */
  tables(): Iterable<TableRows>;
  close(): void;
}

/** How long SQLite waits for a lock. In a write-ahead log, readers hardly ever have to. */
const BUSY_WAIT_MS_MAX = 50;

/** Pins the database of a file that other connections may open, by a transaction that reads. */
export function pinDatabase(path: string): PinnedDatabase {
  const db = new Database(path, constants.SQLITE_OPEN_READONLY);
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_WAIT_MS_MAX}`);
    db.run("BEGIN");
    // The transaction begins with the first read.
    const tables = tableNames(db);
    return {
      tables: () => tables.map((table) => rowsOf(db, table)),
      close: () => db.close(),
    };
  } catch (e) {
    db.close();
    throw e;
  }
}

export function tableNames(db: Pick<Database, "query">): string[] {
  const all = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
  return db
    .query<{ name: string }, []>(all)
    .all()
    .map(({ name }) => name);
}

export function rowsOf(db: Database, table: string): TableRows {
  const columns = db
    .query<{ name: string }, [string]>("SELECT name FROM pragma_table_info(?) ORDER BY cid")
    .all(table)
    .map(({ name }) => name);
  return { table, columns, rows: iterateRows(db, table, columns) };
}

function* iterateRows(db: Database, table: string, columns: readonly string[]): Generator<readonly Cell[]> {
  const rows = db.query<Record<string, Cell>, []>(`SELECT ${columns.map(quoted).join(", ")} FROM ${quoted(table)}`).iterate();
  for (const row of rows) yield columns.map((column) => row[column] as Cell);
}

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
