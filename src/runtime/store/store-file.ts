import { Database } from "bun:sqlite";
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { storeKindOf, type Projections, type StoreKind } from "../projections.ts";
import { completeTables } from "./position/position-table.ts";
import { type OpenFile, openSqliteFile, type StoreDatabase } from "./store-database.ts";
import { isDamage } from "./store-failures.ts";
import { fullByteFiles, type OpenBytes, renameStore, type StoreFiles, storeFiles } from "./store-files.ts";
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

/** Why a file cannot be used. The file is left where it is. */
export interface Unusable {
  readonly unusable: string;
}

export type OpenedStore = { readonly files: StoreFiles } | Unusable;

export interface OpeningOptions {
  readonly openFile?: OpenFile;
  readonly openBytes?: OpenBytes;
  /** Shared by all stores of the process. */
  readonly memory?: StoreMemory;
}

/**
 * Opens the database file of these projections, or creates it if it is missing. A file that is damaged, or that holds
 * other projections, other versions or another log's rows, is left where it is: whoever knows that the log can rebuild
 * it moves it aside and opens again. So are files of bytes whose database is gone: a new store would write over them,
 * and whoever moved the database away may want to bring it back.
 */
export function openDatabase(
  path: string,
  projections: Projections,
  identity: StoreIdentity,
  { openFile = openSqliteFile, openBytes, memory = new StoreMemory() }: OpeningOptions = {},
): OpenedStore {
  mkdirSync(dirname(path), { recursive: true });
  const full = fullByteFiles(path);
  if (full.length > 0 && !existsSync(path)) return { unusable: withoutDatabase("missing", full) };
  try {
    const db = openFile(path);
    const other = prepared(db, projections, identity, full);
    return other === undefined
      ? { files: storeFiles(db, path, { memory, openBytes, identity: numberOf(identity) }) }
      : { unusable: other };
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

/** The first offset of the records that are applied in the file; 0 if it cannot be read now, or does not say. */
export function firstOffsetIn(path: string): number {
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true });
    return db.query<{ first: number | null }, []>("SELECT min(first_offset) AS first FROM position").get()?.first ?? 0;
  } catch {
    return 0;
  } finally {
    db?.close();
  }
}

/**
 * How much a store has saved that is not open, without changing it: the offsets from where it began to where it goes on.
 * Undefined if it would not be used as it is, or cannot be read now.
 */
export function savedPosition(
  path: string,
  projections: Projections,
  { logId, topic, partition }: Required<StoreIdentity>,
): number | undefined {
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true, strict: true });
    const { name, version } = storeKindOf(projections);
    const saved = `SELECT * FROM position WHERE partition = ? AND EXISTS (
      SELECT 1 FROM store WHERE name = ? AND version = ? AND log_id = ? AND topic = ?)`;
    const row = db
      .query<{ next_offset: number; first_offset?: number | null }, [number, string, number, string, string]>(saved)
      .get(partition, name, version, logId, topic);
    return row === null ? undefined : row.next_offset - (row.first_offset ?? 0);
  } catch {
    return undefined;
  } finally {
    db?.close();
  }
}

/** Whether the file says that it holds other projections, or other versions of them. False if it cannot be read. */
export function isOfOtherKind(path: string, projections: Projections): boolean {
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true, strict: true });
    const found = db.query<StoreKind, []>("SELECT name, version FROM store").get();
    const { name, version } = storeKindOf(projections);
    return found !== null && (found.name !== name || found.version !== version);
  } catch {
    return false;
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

/** A number that the store of another log, topic or partition hardly has; never 0. */
const numberOf = ({ logId, topic, partition }: StoreIdentity): number =>
  Bun.hash.crc32(JSON.stringify([logId, topic, partition])) || 1;

const withoutDatabase = (what: string, full: readonly string[]): string =>
  `its database is ${what}, and files beside it are not empty: ${full.join(", ")}`;

const isEmpty = (db: StoreDatabase): boolean => db.query("SELECT 1 FROM sqlite_schema LIMIT 1").get() === null;

/**
 * Returns what is wrong with a database that cannot be used, and closes it. `full` are the files beside it that are not
 * empty.
 */
function prepared(
  db: StoreDatabase,
  projections: Projections,
  identity: StoreIdentity,
  full: readonly string[],
): string | undefined {
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_WAIT_MS_MAX}`);
    if (full.length > 0 && isEmpty(db)) {
      db.close();
      return withoutDatabase("empty", full);
    }
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
