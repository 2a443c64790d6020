import { Database } from "bun:sqlite";
import { existsSync, statSync } from "node:fs";
import { open, readdir, stat, truncate } from "node:fs/promises";
import { dirname, join } from "node:path";
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
  const firstOf = (path: string): number => (path === database && what === "deep" ? 1 : 0);
  const pagesOf = (path: string): number => Math.floor(statSync(path).size / PAGE_BYTES);
  // A file beside it may have less than a page.
  const large = [database, ...beside].filter((path) => pagesOf(path) > firstOf(path));
  const path = large[Math.floor(random() * large.length)];
  if (path === undefined) return undefined;
  const [first, pages] = [firstOf(path), pagesOf(path)];
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

/** The share of the stores whose newest snapshot is damaged; the others have a good one. */
const DAMAGED_SNAPSHOTS_SHARE = 0.6;

/**
 * Damages the newest snapshot of many stores: one of its objects gets a bit flipped, or is cut. Returns what was done;
 * nothing if there is no snapshot yet.
 */
export async function damageSnapshots(directory: string, random: () => number): Promise<string[]> {
  const newest = new Map<string, string>();
  for await (const path of new Bun.Glob("**/manifest.json").scan(directory)) {
    const snapshot = dirname(path);
    if (snapshot > (newest.get(dirname(snapshot)) ?? "")) newest.set(dirname(snapshot), snapshot);
  }
  const done: string[] = [];
  for (const snapshot of newest.values()) {
    if (random() > DAMAGED_SNAPSHOTS_SHARE) continue;
    const what = await damageOne(join(directory, snapshot), random).catch((e: unknown) => {
      // A newer one was taken meanwhile, and this one was deleted.
      if ((e as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw e;
    });
    if (what !== undefined) done.push(what);
  }
  return done;
}

async function damageOne(snapshot: string, random: () => number): Promise<string | undefined> {
  const objects = (await readdir(snapshot)).toSorted();
  const object = objects[Math.floor(random() * objects.length)];
  if (object === undefined) return undefined;
  const path = join(snapshot, object);
  const { size } = await stat(path);
  const at = Math.floor(random() * size);
  if (random() < 0.5) {
    await truncate(path, at);
    return `${path} cut at ${at} of ${size} bytes`;
  }
  await using file = await open(path, "r+");
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.of(buffer.readUInt8() ^ (1 << Math.floor(random() * 8))), 0, 1, at);
  return `a bit of byte ${at} of ${path} flipped`;
}
