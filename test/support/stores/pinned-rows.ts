import type { Database } from "bun:sqlite";
import { type PinnedDatabase, rowsOf, tableNames } from "../../../src/runtime/store/copy/pinned-database.ts";

/** All rows of a database in memory, which only its one connection can read, as they are now. */
export function pinnedRows(db: Database): PinnedDatabase {
  const tables = tableNames(db).map((table) => {
    const { columns, rows } = rowsOf(db, table);
    return { table, columns, rows: [...rows] };
  });
  return { tables: () => tables, close: () => undefined };
}
