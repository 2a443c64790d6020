import { type OpenFile, openSqliteFile, type StoreDatabase } from "../../../src/runtime/store/store-database.ts";

/**
 * A function called in place of a statement each time that is run; `run` runs the statement. An error that it throws is
 * the statement's.
 */
export type StatementFault = (run: () => unknown, parameters: readonly unknown[]) => unknown;

/** The fault of the statement with this text; undefined if the statement runs as it is. */
export type FaultOf = (sql: string) => StatementFault | undefined;

/** The database with faults in its statements. Statements without a fault are the database's own, at no extra cost. */
export function withFaults(db: StoreDatabase, faultOf: FaultOf, close = () => db.close()): StoreDatabase {
  const query = (sql: string) => {
    const statement = db.query(sql);
    const fault = faultOf(sql);
    if (fault === undefined) return statement;
    return {
      run: (...parameters: never[]) => fault(() => statement.run(...parameters), parameters),
      get: (...parameters: never[]) => fault(() => statement.get(...parameters), parameters),
      all: (...parameters: never[]) => fault(() => statement.all(...parameters), parameters),
      values: (...parameters: never[]) => fault(() => statement.values(...parameters), parameters),
    };
  };
  return {
    filename: db.filename,
    get inTransaction() {
      return db.inTransaction;
    },
    query: query as unknown as StoreDatabase["query"],
    run: db.run.bind(db),
    transaction: db.transaction.bind(db),
    close,
  };
}

/** Files on disk whose statements fail as `faultOf` says. */
export const filesWithFaults =
  (faultOf: (sql: string, path: string) => StatementFault | undefined): OpenFile =>
  (path) =>
    withFaults(openSqliteFile(path), (sql) => faultOf(sql, path));

/** The statement that writes a partition's position, as the last one before the transaction is committed. */
export const isPositionWrite = (sql: string): boolean => sql.startsWith("INSERT INTO position");

export const damage = (): Error => Object.assign(new Error("database disk image is malformed"), { code: "SQLITE_CORRUPT" });

export const diskFull = (): Error => Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" });
