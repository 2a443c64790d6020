import { Database } from "bun:sqlite";
import { drainMicrotasks } from "bun:jsc";
import { kindOf, type Projections } from "../../src/runtime/projections.ts";
import type { State } from "../../src/runtime/store/state-dir.ts";
import { prepareDatabase, type StoreIdentity } from "../../src/runtime/store/store-file.ts";
import type { StoreDatabase } from "../../src/runtime/store/store-database.ts";
import { diskFull, type StatementFault, withFaults } from "../support/store-faults.ts";

function made(projections: Projections, identity: StoreIdentity): Database {
  const db = new Database(":memory:", { strict: true });
  const other = prepareDatabase(db, projections, identity);
  if (other !== undefined) throw new Error(`a new store is not usable: ${other}`);
  return db;
}

/**
 * Empty databases of past runs, by what was in them. To make one and to prepare its statements anew takes 50 times as
 * long as to empty it, and was a third of a run.
 */
const emptied = new Map<string, { readonly tables: readonly string[]; readonly dbs: Database[] }>();

function giveBack({ kind, db, schema }: File): void {
  if (db.inTransaction) db.run("ROLLBACK");
  let pool = emptied.get(kind);
  if (!pool) {
    const tables = db
      .query<{ name: string }, []>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'store'")
      .all();
    pool = { tables: tables.map(({ name }) => name), dbs: [] };
    emptied.set(kind, pool);
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
 * Told of each transaction of a store, from before and from after it, and of which partition's file it is, where that
 * holds one.
 */
export type OnCommit = (side: "before" | "after", partition: number | undefined) => "disk-full" | undefined;

/**
 * A process's disk: its SQLite files, in memory. It outlives the process; a test may make it forget.
 *
 * `onCommit` may throw CommitCrash once it has killed the process: nothing of it goes on then. Where it returns
 * "disk-full" the transaction fails once everything in it is written.
 */
export class Disk implements State {
  #files = new Map<string, File>();
  /** Older states of the files, each whole, as a power cut may leave them. */
  #older = new Map<string, Uint8Array>();

  constructor(private readonly onCommit: OnCommit = () => undefined) {}

  open(name: string, projections: Projections, identity: StoreIdentity): { readonly db: StoreDatabase } {
    const kind = JSON.stringify([kindOf(projections), identity]);
    const file = this.#files.get(name) ?? {
      kind,
      schema: projections.map(({ schema }) => schema).join("\n"),
      db: emptied.get(kind)?.dbs.pop() ?? made(projections, identity),
    };
    this.#files.set(name, file);
    if (file.kind !== kind) throw new Error(`${name} is ${file.kind}, not ${kind}`);
    if (file.db.inTransaction) file.db.run("ROLLBACK");
    return { db: this.#watched(file.db, identity.partition) };
  }

  /** It lives as long as the disk it is on, whoever closes it. */
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

  /** What a later `tear` goes back to. */
  remember(): void {
    for (const [name, { db }] of this.#files) if (!db.inTransaction) this.#older.set(name, db.serialize());
  }

  /** The newest transactions are lost, as they may be after a power cut with synchronous=NORMAL. */
  tear(): void {
    for (const [name, bytes] of this.#older) {
      const newest = this.#files.get(name);
      if (!newest) continue;
      newest.db.close();
      this.#files.set(name, { ...newest, db: Database.deserialize(bytes, { strict: true }) });
    }
  }

  lose(): void {
    // What is still to run now may write.
    drainMicrotasks();
    for (const file of this.#files.values()) giveBack(file);
    this.#files = new Map();
    this.#older = new Map();
  }
}
