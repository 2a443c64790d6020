import { Database } from "bun:sqlite";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { STAMP_BYTES } from "../../../src/runtime/store/file-stamp.ts";
import type { ByteFileName } from "../../../src/runtime/store/store-files.ts";

const PAGE_BYTES = 4_096;

/** The database, or one of the files of bytes beside it. */
export type DamagedFile = "database" | ByteFileName;

/** The files that hold rows. A damaged mark of what was applied only says less. */
export const STORE_FILES: readonly DamagedFile[] = ["database", "records", "creates"];

/**
 * Overwrites that file of a closed store. If it is the database, the store cannot be opened; else it opens, since
 * its stamp is left, and fails when what was there is read. Returns false if the store has no such file.
 */
export function damage(file: DamagedFile, path: string): boolean {
  const damaged = file === "database" ? path : `${path}-${file}`;
  if (!existsSync(damaged)) return false;
  if (file === "database") emptyWriteAheadLog(path);
  const bytes = readFileSync(damaged);
  if (bytes.length === 0) throw new Error(`${damaged} is empty; save some orders in it`);
  if (file === "database") bytes.fill(0xa5, 0, PAGE_BYTES);
  else bytes.fill(0xa5, STAMP_BYTES);
  writeFileSync(damaged, bytes);
  return true;
}

/** What is in the write-ahead log would hide the damage. */
function emptyWriteAheadLog(path: string): void {
  using db = new Database(path);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
}
