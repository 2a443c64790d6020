import { Database } from "bun:sqlite";

/** A store's database: of bun:sqlite's as much as the stores and the projections use. */
export type StoreDatabase = Pick<Database, "filename" | "inTransaction" | "query" | "run" | "transaction" | "close">;

/** How a store's file is opened, or made where it is missing: the port through which tests let stores fail. */
export type OpenFile = (path: string) => StoreDatabase;

export const openSqliteFile: OpenFile = (path) => new Database(path, { create: true, strict: true });
