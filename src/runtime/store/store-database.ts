import { Database } from "bun:sqlite";

/** A store's database: as much of bun:sqlite's as the stores and the projections use. */
export type StoreDatabase = Pick<Database, "filename" | "inTransaction" | "query" | "run" | "transaction" | "close">;

/** Opens a store's file, or creates it if it is missing. Through this port, tests let stores fail. */
export type OpenFile = (path: string) => StoreDatabase;

export const openSqliteFile: OpenFile = (path) => new Database(path, { create: true, strict: true });
