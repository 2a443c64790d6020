import { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { storeKindOf, type Projections } from "../projections.ts";
import { completeTables } from "./position/position-table.ts";
import { type OpenFile, openSqliteFile, type StoreDatabase } from "./store-database.ts";
import { isDamage } from "./store-failures.ts";
import { keepLeftBehind, type OpenBytes, renameStore, type StoreFiles, storeFiles } from "./store-files.ts";
import { StoreMemory } from "./store-memory.ts";

/** The log and the topic that a store's rows come from. A file with rows of another log or topic is not used. */
export interface StoreIdentity {
  readonly logId: string;
  readonly topic: string;
  /** The partition, if the file holds only one. */
  readonly partition?: number;
}

/**
 * How long SQLite waits for a lock that another program holds. The whole process waits with it, so a store that is
 * locked for longer is tried again later.
 */
const BUSY_WAIT_MS_MAX = 5;

/**
 * `shared` lets other processes read the file, which costs each query two locks. `exclusive` does not (measured: it
 * saves 6 % of a cart's time).
 */
export type Locking = "shared" | "exclusive";

/** Why a file cannot be used. The file is left where it is. */
export interface Unusable {
  readonly unusable: string;
}

export type OpenedStore = { readonly files: StoreFiles } | Unusable;

export interface OpeningOptions {
  readonly locking?: Locking | undefined;
  readonly openFile?: OpenFile;
  readonly openBytes?: OpenBytes;
  /** Shared by all stores of the process. */
  readonly memory?: StoreMemory;
}

/**
 * Opens the database file of these projections, or creates it if it is missing. A file that is damaged, or that holds
 * other projections, other versions or another log's rows, is left where it is: whoever knows that the log can rebuild
 * it moves it aside and opens again.
 */
export function openDatabase(
  path: string,
  projections: Projections,
  identity: StoreIdentity,
  { locking = "shared", openFile = openSqliteFile, openBytes, memory = new StoreMemory() }: OpeningOptions = {},
): OpenedStore {
  mkdirSync(dirname(path), { recursive: true });
  keepLeftBehind(path);
  try {
    const db = openFile(path);
    const other = prepared(db, projections, identity, locking);
    return other === undefined ? { files: storeFiles(db, path, memory, openBytes) } : { unusable: other };
  } catch (e) {
    if (!isDamage(e)) throw e;
    return { unusable: `it is damaged (${e.code})` };
  }
}

/**
 * Whether the file holds applied records of the topic. Also true if that cannot be found out, for example while
 * another program holds the file.
 */
export function hasApplied(path: string, topic: string): boolean {
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true });
    const tables = db.query<{ count: number }, []>(
      "SELECT count(*) AS count FROM sqlite_schema WHERE name IN ('store', 'position')",
    );
    if (tables.get()?.count !== 2) return false;
    const holds = "SELECT 1 FROM store WHERE topic = ? AND EXISTS (SELECT 1 FROM position WHERE next_offset > 0)";
    return db.query(holds).get(topic) !== null;
  } catch {
    return true;
  } finally {
    db?.close();
  }
}

/** Renames the files of a closed store, so that the next `openDatabase` creates new ones. Returns the new name. */
export function moveAside(path: string, wall_ms: number): string {
  const aside = `${path}.set-aside-${wall_ms}`;
  renameStore(path, aside);
  return aside;
}

/** Returns what is wrong with a database that cannot be used, and closes it. */
function prepared(db: StoreDatabase, projections: Projections, identity: StoreIdentity, locking: Locking): string | undefined {
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_WAIT_MS_MAX}`);
    if (locking === "exclusive") db.run("PRAGMA locking_mode = EXCLUSIVE");
    db.run("PRAGMA journal_mode = WAL");
    // A power cut may take the last transaction back: the next saving syncs it, and only then is what it freed used again.
    db.run("PRAGMA synchronous = NORMAL");
    db.run("PRAGMA cache_size = -2000");
    const other = prepareDatabase(db, projections, identity);
    if (other !== undefined) db.close();
    return other;
  } catch (e) {
    db.close();
    throw e;
  }
}

/**
 * Creates the tables if there are none. Returns what is wrong with a database that holds other projections or another
 * log's rows.
 */
export function prepareDatabase(db: StoreDatabase, projections: Projections, identity: StoreIdentity): string | undefined {
  const expected = { ...storeKindOf(projections), log_id: identity.logId, topic: identity.topic };
  db.transaction(() => {
    db.run(
      "CREATE TABLE IF NOT EXISTS store (name TEXT NOT NULL, version INTEGER NOT NULL, log_id TEXT NOT NULL, topic TEXT NOT NULL) STRICT",
    );
    if (db.query("SELECT 1 FROM store").get()) return;
    db.run("INSERT INTO store VALUES (?, ?, ?, ?)", Object.values(expected));
    db.run(`CREATE TABLE position (
      partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL,
      last_offset INTEGER, last_checksum INTEGER
    ) STRICT`);
    for (const { schema } of projections) db.run(schema);
  }).immediate();
  const found = db.query<typeof expected, []>("SELECT name, version, log_id, topic FROM store").get();
  for (const key of ["name", "version", "log_id", "topic"] as const) {
    if (found?.[key] !== expected[key]) return `its ${key} is ${found?.[key]}, not ${expected[key]}`;
  }
  const { partition } = identity;
  const other =
    partition === undefined
      ? null
      : db.query<{ partition: number }, [number]>("SELECT partition FROM position WHERE partition <> ?").get(partition);
  if (other) return `it is partition ${other.partition}'s, not ${partition}'s`;
  // Only now, so that a file that cannot be used stays unchanged.
  completeTables(db);
  return undefined;
}
