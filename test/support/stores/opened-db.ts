import type { StoreDatabase } from "../../../src/runtime/store/store-database.ts";
import type { OpenedDatabase } from "../../../src/runtime/store/store-file.ts";

/** The database of a store that was opened; throws if the store is unusable. */
export function openedDb(opened: OpenedDatabase): StoreDatabase {
  if ("unusable" in opened) throw new Error(opened.unusable);
  return opened.db;
}
