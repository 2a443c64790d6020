import { StoreMemory } from "../../src/runtime/store/store-memory.ts";
import { Database } from "bun:sqlite";
import { drainMicrotasks } from "bun:jsc";
import { storeKindOf, type Projections } from "../../src/runtime/projections.ts";
import type { ByteFile } from "../../src/runtime/store/byte-file.ts";
import type { State } from "../../src/runtime/store/state-dir.ts";
import { prepareDatabase, type StoreIdentity } from "../../src/runtime/store/store-file.ts";
import type { StoreDatabase } from "../../src/runtime/store/store-database.ts";
import type { ByteFileName, StoreFiles } from "../../src/runtime/store/store-files.ts";
import { diskFull, type StatementFault, withFaults } from "../support/stores/store-faults.ts";
import type { Owner } from "./scheduler.ts";
import { SimulatedDatabase } from "./simulated-database.ts";
import { SimulatedFile } from "./simulated-file.ts";

/** A store has more statements than are kept for a database by default. */
Database.MAX_QUERY_CACHE_SIZE = 64;

function makeDatabase(projections: Projections, identity: StoreIdentity): Database {
  const db = new Database(":memory:", { strict: true });
  const other = prepareDatabase(db, projections, identity);
  if (other !== undefined) throw new Error(`a new store is not usable: ${other}`);
  return db;
}

/**
 * Empty databases from earlier runs, by their schema and identity, and empty files. Making a database and preparing its
 * statements takes 50 times as long as emptying it, and used to take a third of a run.
 */
const emptyDatabases = new Map<string, { readonly tables: readonly string[]; readonly dbs: Database[] }>();
const emptyFiles: SimulatedFile[] = [];

function giveBack({ kind, db, schema, bytes }: Store): void {
  if (db.inTransaction) db.run("ROLLBACK");
  let pool = emptyDatabases.get(kind);
  if (!pool) {
    pool = { tables: tablesOf(db), dbs: [] };
    emptyDatabases.set(kind, pool);
  }
  for (const table of pool.tables) db.query(`DELETE FROM ${table}`).run();
  for (const [firstRow] of schema.matchAll(/INSERT [^;]*/g)) db.query(firstRow).run();
  pool.dbs.push(db);
  for (const file of bytes.values()) {
    file.empty();
    emptyFiles.push(file);
  }
}

function tablesOf(db: Database): string[] {
  const all = db.query<{ name: string }, []>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'store'").all();
  return all.map(({ name }) => name);
}

function newStore(kind: string, projections: Projections, identity: StoreIdentity, random: () => number): Store {
  const db = emptyDatabases.get(kind)?.dbs.pop() ?? makeDatabase(projections, identity);
  const schema = projections.map((projection) => projection.schema).join("\n");
  return { kind, schema, db, database: new SimulatedDatabase(db, tablesOf(db), random), bytes: new Map() };
}

/** A store's files on a disk. */
interface Store {
  readonly kind: string;
  readonly schema: string;
  readonly db: Database;
  /** What a power cut would leave of it. */
  readonly database: SimulatedDatabase;
  readonly bytes: Map<ByteFileName, SimulatedFile>;
}

export type StoreCall = "commit" | "write" | "sync";
/** Where a disk has room for some things and not for others, only some calls fail. */
export type FailingCalls = StoreCall | "any";

/**
 * Called before and after each commit of a store, and each write and sync of its files. The call fails if it returns
 * "fails" beforehand.
 */
export type OnStoreCall = (call: StoreCall, side: "before" | "after") => "fails" | undefined;

export interface DiskOptions {
  /** May throw StoreCrash after killing the process. */
  readonly onCall?: OnStoreCall;
  /** Called if a process takes its store for unusable. */
  readonly onSetAside?: (name: string) => void;
  readonly random?: () => number;
  /** Whether the disk is slow now and then. */
  readonly isSlow?: boolean;
}

/** Thrown by a store whose process was killed in the middle of a call; nothing of the process runs after that. */
export class StoreCrash extends Error {}

/** Stores forget the rows in memory soon, so that they are read again. */
const CACHED_ROWS_MAX = 2;

/** A machine's disk: SQLite files, and files of bytes beside them, in memory. It outlives the processes. */
export class Disk {
  readonly #onCall: OnStoreCall;
  readonly #random: () => number;
  readonly #memory = new StoreMemory(CACHED_ROWS_MAX);
  #stores = new Map<string, Store>();

  constructor(private readonly options: DiskOptions = {}) {
    this.#onCall = options.onCall ?? (() => undefined);
    this.#random = options.random ?? (() => 0);
  }

  /** The disk as a process sees it; without one, syncs take no time. */
  claim(process?: Owner): State {
    return {
      open: (name, projections, identity) => ({ files: this.#open(name, projections, identity, process) }),
      path: (name) => name,
      setAside: (name) => this.#setAside(name),
      partitions: (topic) => this.#partitions(topic),
      release: () => undefined,
    };
  }

  /** The files of all stores, to be looked at and not changed. */
  *stores(): Iterable<[name: string, files: StoreFiles]> {
    for (const [name, { db, bytes }] of this.#stores) {
      if (db.inTransaction) db.run("ROLLBACK");
      yield [
        name,
        {
          db,
          syncDatabase: () => Promise.reject(new Error("a store that is only looked at is not written to")),
          memory: new StoreMemory(),
          bytes: (file) => new LookedAt(bytes.get(file) ?? new SimulatedFile()),
          close: () => undefined,
        },
      ];
    }
  }

  /**
   * Cuts the power. Of databases and files, what was synced is still there, and some of the rest.
   */
  cutPower(): void {
    for (const { database, bytes } of this.#stores.values()) {
      database.powerCut();
      for (const file of bytes.values()) file.powerCut(this.#random);
    }
  }

  lose(): void {
    // Code that is still due to run now may write.
    drainMicrotasks();
    for (const store of this.#stores.values()) giveBack(store);
    this.#stores = new Map();
  }

  #open(name: string, projections: Projections, identity: StoreIdentity, process: Owner | undefined): StoreFiles {
    const kind = JSON.stringify([storeKindOf(projections), identity]);
    const store = this.#stores.get(name) ?? newStore(kind, projections, identity, this.#random);
    this.#stores.set(name, store);
    if (store.kind !== kind) throw new Error(`${name} is ${store.kind}, not ${kind}`);
    if (store.db.inTransaction) store.db.run("ROLLBACK");
    const handles = new Map<string, OpenFile>();
    const calls: Calls = { process, syncTime_ms: () => this.#syncTime_ms(), on: this.#onCall };
    return {
      db: watched(store, calls),
      syncDatabase: () => syncDatabase(store, calls),
      bytes: (file) => {
        const bytes = store.bytes.get(file) ?? emptyFiles.pop() ?? new SimulatedFile();
        store.bytes.set(file, bytes);
        const handle = handles.get(file) ?? new OpenFile(bytes, calls);
        handles.set(file, handle);
        return handle;
      },
      memory: this.#memory,
      // The database lives as long as its disk.
      close: () => handles.forEach((handle) => handle.close()),
    };
  }

  #syncTime_ms(): number {
    const isSlow = this.options.isSlow === true && this.#random() < SLOW_CHANCE;
    return Math.floor(this.#random() * (isSlow ? SLOW_SYNC_MS_MAX : SYNC_MS_MAX));
  }

  #setAside(name: string): string {
    this.options.onSetAside?.(name);
    const store = this.#stores.get(name);
    if (store) giveBack(store);
    this.#stores.delete(name);
    return name;
  }

  #partitions(topic: string): number[] {
    return [...this.#stores.keys()].flatMap((name) => {
      const partition = /^\.(\d+)\.sqlite$/.exec(name.slice(topic.length))?.[1];
      return name.startsWith(topic) && partition !== undefined ? [Number(partition)] : [];
    });
  }
}

/** What happens around the calls of one opened store. */
interface Calls {
  readonly process: Owner | undefined;
  readonly syncTime_ms: () => number;
  readonly on: OnStoreCall;
}

/** The database of a process: its commits fail, or end the process, as the calls say. */
function watched({ db, database }: Store, { process, on }: Calls): StoreDatabase {
  let isFailing = false;
  const begin = (run: () => unknown) => {
    if (process?.isDead) throw new StoreCrash("the process is dead");
    isFailing = on("commit", "before") === "fails";
    database.begins();
    run();
  };
  const commit = (run: () => unknown) => {
    if (isFailing) throw diskFull();
    run();
    database.committed();
    on("commit", "after");
  };
  const faults: Readonly<Record<string, StatementFault>> = { "BEGIN IMMEDIATE": begin, COMMIT: commit };
  return withFaults(
    db,
    (sql) => faults[sql],
    () => undefined,
  );
}

async function syncDatabase({ database }: Store, { process, syncTime_ms, on }: Calls): Promise<void> {
  if (process?.isDead) throw new StoreCrash("the process is dead");
  const fails = on("sync", "before") === "fails";
  const commits = database.beginSync();
  if (process !== undefined) await process.sleep(syncTime_ms());
  if (process?.isDead) throw new StoreCrash("the process is dead");
  if (fails) throw noSpace();
  database.endSync(commits);
  on("sync", "after");
}

const SYNC_MS_MAX = 12;
/** Now and then a disk is busy with something else. */
const SLOW_SYNC_MS_MAX = 1_500;
const SLOW_CHANCE = 0.03;

const noSpace = (): Error => Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
const closedFile = (): Error => Object.assign(new Error("the file is closed"), { code: "EBADF" });

/** A file of bytes that a process has open. */
class OpenFile implements ByteFile {
  #isClosed = false;

  constructor(
    private readonly file: SimulatedFile,
    private readonly calls: Calls,
  ) {}

  get size(): number {
    return this.file.size;
  }

  read(into: Buffer, from: number, length: number, at: number): number {
    this.#requireOpen();
    return this.file.read(into, from, length, at);
  }

  /** A write that fails has written half. */
  write(bytes: Buffer, from: number, length: number, at: number): void {
    this.#requireOpen();
    const fails = this.calls.on("write", "before") === "fails";
    this.file.write(bytes, from, fails ? length >> 1 : length, at);
    if (fails) throw noSpace();
    this.calls.on("write", "after");
  }

  truncate(): void {
    throw new Error("no store shortens its files");
  }

  async sync(): Promise<void> {
    const { process, syncTime_ms, on } = this.calls;
    this.#requireOpen();
    const fails = on("sync", "before") === "fails";
    const mark = this.file.beginSync();
    if (process !== undefined) await process.sleep(syncTime_ms());
    this.#requireOpen();
    this.file.endSync(mark, !fails);
    if (fails) throw noSpace();
    on("sync", "after");
  }

  close(): void {
    this.#isClosed = true;
  }

  #requireOpen(): void {
    if (this.calls.process?.isDead) throw new StoreCrash("the process is dead");
    if (this.#isClosed) throw closedFile();
  }
}

/** A file of bytes that nobody may change. */
class LookedAt implements ByteFile {
  constructor(private readonly file: SimulatedFile) {}

  get size(): number {
    return this.file.size;
  }

  read(into: Buffer, from: number, length: number, at: number): number {
    return this.file.read(into, from, length, at);
  }

  write(): void {
    throw new Error("a store that is only looked at is not written to");
  }

  truncate(): void {
    this.write();
  }

  async sync(): Promise<void> {
    this.write();
  }

  close(): void {}
}
