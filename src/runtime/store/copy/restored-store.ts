import { existsSync, fsyncSync, closeSync, mkdirSync, openSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import type { Projections } from "../../projections.ts";
import { type ByteFile, openByteFile, openByteFileToRead } from "../byte-file.ts";
import { quoted, tableNames, type TableRows } from "./pinned-database.ts";
import { openSqliteFile } from "../store-database.ts";
import { damagedStore } from "../store-failures.ts";
import { prepareDatabase, type StoreIdentity } from "../store-file.ts";
import { BYTE_FILE_NAMES, byteFilePath, type ByteFileName, removeStore } from "../store-files.ts";
import type { StoreDatabase } from "../store-database.ts";

/** The files of a store that is being restored, beside the place where it is to be. */
export interface RestoredStore {
  /** Adds rows to a table, after its own first rows are removed. Throws an error of damage for a table that is none. */
  insert(rows: TableRows): void;
  bytes(name: ByteFileName): ByteFile;
  /**
   * Puts the store in its place once everything is on the disk. What is there must be of no use: it is removed. Nothing
   * is awaited between `onReady`, which may throw, and that.
   */
  place(onReady: () => void): Promise<void>;
  /** Removes everything again. It has no effect on a store that is in its place. */
  drop(): void;
}

/** What the paths end with until the store is in its place. Nobody takes such a file for a store. */
const UNFINISHED = ".restoring";

/** Begins to restore the store at `path`. What an earlier process began is removed. */
export function restoreStore(path: string, projections: Projections, identity: StoreIdentity): RestoredStore {
  const unfinished = `${path}${UNFINISHED}`;
  mkdirSync(dirname(path), { recursive: true });
  removeStore(unfinished);
  const db = openSqliteFile(unfinished);
  try {
    // What a crash leaves is removed; only the whole is synced, in the end.
    db.run("PRAGMA journal_mode = OFF");
    db.run("PRAGMA synchronous = OFF");
    const other = prepareDatabase(db, projections, identity);
    if (other !== undefined) throw damagedStore(other);
  } catch (e) {
    db.close();
    removeStore(unfinished);
    throw e;
  }
  return new FilesBeingRestored(path, unfinished, db);
}

/**
 * ```
 *  filling ──place()──▶ in its place
 *     └───── drop() ──▶ removed
 * ```
 */
class FilesBeingRestored implements RestoredStore {
  readonly #files = new Map<ByteFileName, ByteFile>();
  readonly #inserting: TableInserts;
  #isOpen = true;

  constructor(
    private readonly path: string,
    private readonly unfinished: string,
    private readonly db: StoreDatabase,
  ) {
    this.#inserting = new TableInserts(db);
  }

  insert(rows: TableRows): void {
    this.#inserting.insert(rows);
  }

  bytes(name: ByteFileName): ByteFile {
    const file = this.#files.get(name) ?? openByteFile(byteFilePath(this.unfinished, name));
    this.#files.set(name, file);
    return file;
  }

  async place(onReady: () => void): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.sync()));
    this.#close();
    const database = openByteFileToRead(this.unfinished);
    try {
      await database.sync();
    } finally {
      database.close();
    }
    onReady();
    removeStore(this.path);
    // The database comes last: without it, the files beside it are those of no store.
    for (const name of BYTE_FILE_NAMES) {
      const from = byteFilePath(this.unfinished, name);
      if (existsSync(from)) renameSync(from, byteFilePath(this.path, name));
    }
    renameSync(this.unfinished, this.path);
    syncDirectory(dirname(this.path));
  }

  drop(): void {
    this.#close();
    removeStore(this.unfinished);
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.db.close();
    for (const file of this.#files.values()) file.close();
  }
}

/** Inserts rows into the tables of a new database, a table's own first rows removed. */
export class TableInserts {
  readonly #tables: ReadonlySet<string>;
  readonly #begun = new Set<string>();

  constructor(private readonly db: Pick<StoreDatabase, "query" | "run" | "transaction">) {
    this.#tables = new Set(tableNames(db));
  }

  insert({ table, columns, rows }: TableRows): void {
    if (!this.#tables.has(table)) throw damagedStore(`There is no table ${table} in a store of this kind`);
    this.db.transaction(() => {
      if (!this.#begun.has(table)) this.db.run(`DELETE FROM ${quoted(table)}`);
      this.#begun.add(table);
      const insert = this.db.query(
        `INSERT INTO ${quoted(table)} (${columns.map(quoted).join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
      );
      for (const row of rows) insert.run(...(row as (string | number | null)[]));
    })();
  }
}

/** A new name is on the disk once its directory is. */
function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
