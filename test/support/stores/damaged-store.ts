import { Database } from "bun:sqlite";
import { readFileSync, writeFileSync } from "node:fs";

const PAGE_BYTES = 4_096;

export type DamagedPart = "the first page" | "the pages behind the tables' first ones";

/**
 * Overwrites the pages of a closed store from that part on. If the first page is damaged, the store cannot be opened;
 * if only those behind the tables' first ones are, it opens, and fails when rows are read.
 */
export function damageFrom(part: DamagedPart, path: string): void {
  const db = new Database(path);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  const roots = db.query<{ last: number }, []>("SELECT max(rootpage) AS last FROM sqlite_master").get();
  db.close();
  const bytes = readFileSync(path);
  const from = part === "the first page" ? 0 : (roots?.last ?? 0) * PAGE_BYTES;
  if (bytes.length <= from) throw new Error(`${path} has no pages behind its tables' first ones; put more rows in it`);
  bytes.fill(0xa5, from);
  writeFileSync(path, bytes);
}
