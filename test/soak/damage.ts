import { Database } from "bun:sqlite";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";

const PAGE_BYTES = 4_096;
/** The share of a file's pages that deep damage hits. */
const DAMAGED_SHARE = 0.2;

/**
 * Overwrites pages of one partition's store: the first page, which has the file's header, or some of the others. No
 * process may have the file open. Returns what was done; undefined if there is no store to damage.
 */
export async function damageStore(dataDir: string, what: "header" | "deep", random: () => number): Promise<string | undefined> {
  const stores: string[] = [];
  for await (const path of new Bun.Glob("state/*/*/*.sqlite").scan(dataDir)) stores.push(join(dataDir, path));
  const path = stores.toSorted()[Math.floor(random() * stores.length)];
  if (path === undefined) return undefined;
  // What is in the write-ahead log would hide the damage.
  try {
    using db = new Database(path);
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // The store is damaged already.
  }
  const pages = Math.floor((await stat(path)).size / PAGE_BYTES);
  if (pages < 2) return undefined;
  const chosen =
    what === "header"
      ? [0]
      : Array.from({ length: Math.ceil(pages * DAMAGED_SHARE) }, () => 1 + Math.floor(random() * (pages - 1)));
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
