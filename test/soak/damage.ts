import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { BYTE_FILE_NAMES } from "../../src/runtime/store/store-files.ts";

const PAGE_BYTES = 4_096;
/** The share of a file's pages that deep damage hits. */
const DAMAGED_SHARE = 0.2;

/**
 * Overwrites pages of one store: the first page of its database, which has the file's header, or some of the others, or
 * some of a file beside it. No process may have the files open. Returns what was done; undefined if there is nothing to
 * damage.
 */
export async function damageStore(dataDir: string, what: "header" | "deep", random: () => number): Promise<string | undefined> {
  const stores: string[] = [];
  for await (const path of new Bun.Glob("state/*/*/*.sqlite").scan(dataDir)) stores.push(join(dataDir, path));
  const database = stores.toSorted()[Math.floor(random() * stores.length)];
  if (database === undefined) return undefined;
  // What is in the write-ahead log would hide the damage.
  try {
    using db = new Database(database);
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // The store is damaged already.
  }
  const beside = what === "header" ? [] : BYTE_FILE_NAMES.map((name) => `${database}-${name}`).filter(existsSync);
  const path = [database, ...beside][Math.floor(random() * (1 + beside.length))] ?? database;
  const pages = Math.floor((await stat(path)).size / PAGE_BYTES);
  const first = path === database ? 1 : 0;
  if (pages <= first) return undefined;
  const chosen =
    what === "header"
      ? [0]
      : Array.from({ length: Math.ceil(pages * DAMAGED_SHARE) }, () => first + Math.floor(random() * (pages - first)));
  await using file = await open(path, "r+");
  for (const page of chosen) {
    const rubbish = Buffer.from(Array.from({ length: PAGE_BYTES }, () => Math.floor(random() * 256)));
    // No kind of page begins with this byte.
    rubbish[0] = 0xff;
    await file.write(rubbish, 0, PAGE_BYTES, page * PAGE_BYTES);
  }
  await file.sync();
  return `pages ${chosen.join()} of ${path}`;
}
