import type { StoreDatabase } from "../../../src/runtime/store/store-database.ts";

/** Makes the store one as versions left it that kept neither generations nor a checksum: nothing is compared. */
export function withoutGenerations(db: Pick<StoreDatabase, "run">): void {
  for (const column of ["generation", "checksum"]) db.run(`ALTER TABLE position DROP COLUMN ${column}`);
  db.run("DROP TABLE stamps");
}
