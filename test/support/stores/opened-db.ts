import type { StoreDatabase } from "../../../src/runtime/store/store-database.ts";
import type { OpenedDatabase } from "../../../src/runtime/store/store-file.ts";

/** Of a store that can be used. */
export function openedDb(opened: OpenedDatabase): StoreDatabase {
  if ("unusable" in opened) throw new Error(opened.unusable);
  return opened.db;
}
