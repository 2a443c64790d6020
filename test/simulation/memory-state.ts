import { Database } from "bun:sqlite";
import { drainMicrotasks } from "bun:jsc";
import { storeKindOf, type Projections } from "../../src/runtime/projections.ts";
import type { State } from "../../src/runtime/store/state-dir.ts";
import { prepareDatabase, type StoreIdentity } from "../../src/runtime/store/store-file.ts";
import type { StoreDatabase } from "../../src/runtime/store/store-database.ts";
import { diskFull, type StatementFault, withFaults } from "../support/stores/store-faults.ts";

function makeDatabase(projections: Projections, identity: StoreIdentity): Database {
  const db = new Database(":memory:", { strict: true });
  const other = prepareDatabase(db, projections, identity);
  if (other !== undefined) throw new Error(`a new store is not usable: ${other}`);
  return db;
}

/**
 * Empty databases from earlier runs, by their schema and identity. Making one and preparing its statements takes 50
 * times as long as emptying it, and used to take a third of a run.
 */
const emptyDatabases = new Map<string, { readonly tables: readonly string[]; readonly dbs: Database[] }>();

function giveBack({ kind, db, schema }: File): void {
  if (db.inTransaction) db.run("ROLLBACK");
  let pool = emptyDatabases.get(kind);
  if (!pool) {
    const tables = db
      .query<{ name: string }, []>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'store'")
      .all();
    pool = { tables: tables.map(({ name }) => name), dbs: [] };
    emptyDatabases.set(kind, pool);
  }
  for (const table of pool.tables) db.query(`DELETE FROM ${table}`).run();
  for (const [firstRow] of schema.matchAll(/INSERT [^;]*/g)) db.query(firstRow).run();
  pool.dbs.push(db);
}

interface File {
  readonly kind: string;
  readonly schema: string;
  readonly db: Database;
}

/**
 * Called before and after each transaction of a store, with the partition whose file it is, if the file holds just
 * one.
 */
export type OnCommit = (side: "before" | "after", partition: number | undefined) => "disk-full" | undefined;

/**
 * A process's disk: its SQLite files, in memory. It outlives the process, and a test may make it forget.
 *
 * `onCommit` may throw CommitCrash after killing the process; nothing of the process runs after that. If it returns
 * "disk-full", the transaction fails after everything in it is written.
 */
export class Disk implements State {
  #files = new Map<string, File>();
  /** Older states of the files, each one consistent, to which a power cut may take them back. */
  #older = new Map<string, Uint8Array>();

  constructor(private readonly onCommit: OnCommit = () => undefined) {}

  open(name: string, projections: Projections, identity: StoreIdentity): { readonly db: StoreDatabase } {
    const kind = JSON.stringify([storeKindOf(projections), identity]);
    const file = this.#files.get(name) ?? {
      kind,
      schema: projections.map(({ schema }) => schema).join("\n"),
      db: emptyDatabases.get(kind)?.dbs.pop() ?? makeDatabase(projections, identity),
    };
    this.#files.set(name, file);
    if (file.kind !== kind) throw new Error(`${name} is ${file.kind}, not ${kind}`);
    if (file.db.inTransaction) file.db.run("ROLLBACK");
    return { db: this.#watched(file.db, identity.partition) };
  }

  /** The database lives as long as its disk, even when a service closes it. */
  #watched(db: Database, partition: number | undefined): StoreDatabase {
    let isFull = false;
    const begin = (run: () => unknown) => {
      isFull = this.onCommit("before", partition) === "disk-full";
      run();
    };
    const commit = (run: () => unknown) => {
      if (isFull) throw diskFull();
      run();
      this.onCommit("after", partition);
    };
    const faults: Readonly<Record<string, StatementFault>> = { "BEGIN IMMEDIATE": begin, COMMIT: commit };
    return withFaults(
      db,
      (sql) => faults[sql],
      () => undefined,
    );
  }

  path(name: string): string {
    return name;
  }

  setAside(name: string): string {
    const file = this.#files.get(name);
    if (file) giveBack(file);
    this.#files.delete(name);
    this.#older.delete(name);
    return name;
  }

  partitions(topic: string): number[] {
    return [...this.#files.keys()].flatMap((name) => {
      const partition = /^\.(\d+)\.sqlite$/.exec(name.slice(topic.length))?.[1];
      return name.startsWith(topic) && partition !== undefined ? [Number(partition)] : [];
    });
  }

  release(): void {}

  files(): [name: string, db: Database][] {
    return [...this.#files].map(([name, { db }]) => [name, db]);
  }

  /** Keeps the current state of the files for a later `tear`. */
  remember(): void {
    for (const [name, { db }] of this.#files) if (!db.inTransaction) this.#older.set(name, db.serialize());
  }

  /** Loses the newest transactions, as a power cut may with synchronous=NORMAL. */
  tear(): void {
    for (const [name, bytes] of this.#older) {
      const newest = this.#files.get(name);
      if (!newest) continue;
      newest.db.close();
      this.#files.set(name, { ...newest, db: Database.deserialize(bytes, { strict: true }) });
    }
  }

  lose(): void {
    // Code that is still due to run now may write.
    drainMicrotasks();
    for (const file of this.#files.values()) giveBack(file);
    this.#files = new Map();
    this.#older = new Map();
  }
}
