import { StoreMemory } from "../../src/runtime/store/store-memory.ts";
import { Database } from "bun:sqlite";
import { drainMicrotasks } from "bun:jsc";
import { storeKindOf, type Projections } from "../../src/runtime/projections.ts";
import { type RestoredStore, TableInserts } from "../../src/runtime/store/copy/restored-store.ts";
import type { State } from "../../src/runtime/store/state-dir.ts";
import { partitionIn, versionedName } from "../../src/runtime/store/store-names.ts";
import { prepareDatabase, type StoreIdentity } from "../../src/runtime/store/store-file.ts";
import type { StoreDatabase } from "../../src/runtime/store/store-database.ts";
import type { ByteFileName, StoreFiles } from "../../src/runtime/store/store-files.ts";
import { diskFull, type StatementFault, withFaults } from "../support/stores/store-faults.ts";
import type { NewUuid } from "../../src/system/random.ts";
import { pinnedRows } from "../support/stores/pinned-rows.ts";
import { type Calls, LookedAt, noSpace, type OnStoreCall, OpenFile, StoreCrash } from "./file-handles.ts";
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
  return { id: ++storesMade, kind, schema, db, database: new SimulatedDatabase(db, tablesOf(db), random), bytes: new Map() };
}

let storesMade = 0;

/** A store's files on a disk. */
interface Store {
  readonly id: number;
  readonly kind: string;
  readonly schema: string;
  readonly db: Database;
  /** What a power cut would leave of it. */
  readonly database: SimulatedDatabase;
  readonly bytes: Map<ByteFileName, SimulatedFile>;
}

export interface DiskOptions {
  /** May throw StoreCrash after killing the process. */
  readonly onCall?: OnStoreCall;
  /** Called if a process takes its store for unusable. */
  readonly onSetAside?: (name: string) => void;
  readonly random?: () => number;
  /** Tells which topic has the name now, as far as every process knows. */
  readonly topicId?: () => string | undefined;
  /** Called if a process puts a store in its place that is of a topic which was deleted before it began to make it. */
  readonly onForeign?: (what: string) => void;
  /** Whether the disk is slow now and then. */
  readonly isSlow?: boolean;
  readonly newUuid?: NewUuid;
}

/** Stands for the id of a topic that was made anew a moment ago. */
export const UNHEARD = "unheard";

/** Stores forget the rows in memory soon, so that they are read again. */
const CACHED_ROWS_MAX = 2;

/** A machine's disk: SQLite files, and files of bytes beside them, in memory. It outlives the processes. */
export class Disk {
  readonly #onCall: OnStoreCall;
  readonly #random: () => number;
  readonly #memory = new StoreMemory(CACHED_ROWS_MAX);
  #stores = new Map<string, Store>();
  readonly #newUuid: NewUuid;
  #instanceId: string | undefined;
  readonly #kept = new Map<string, string>();

  constructor(private readonly options: DiskOptions = {}) {
    this.#onCall = options.onCall ?? (() => undefined);
    this.#random = options.random ?? (() => 0);
    this.#newUuid = options.newUuid ?? (() => crypto.randomUUID());
  }

  /** The disk as a process sees it; without one, syncs take no time. */
  claim(process?: Owner): State {
    return {
      open: (name, projections, identity) => ({ files: this.#open(name, projections, identity, process) }),
      storeName: (topic, partition, projections) => versionedName(topic, partition, projections),
      removeOutdated: () => [],
      noteHalt: () => undefined,
      partitions: () => [],
      appliedFrom: (topic, partition) => this.#appliedFrom(topic, partition),
      removeMoved: () => [],
      restore: (name, projections, identity) => this.#restore(name, projections, identity, process),
      path: (name) => name,
      fileId: (name) => this.#stores.get(name)?.id,
      setAside: (name) => this.#setAside(name),
      positions: (topic, projections) => this.#positions(topic, projections),
      kept: (name) => this.#kept.get(name),
      keep: (name, text) => {
        if (process?.isDead) throw new StoreCrash("the process is dead");
        this.#kept.set(name, text);
      },
      instanceId: () => (this.#instanceId ??= this.#newUuid()),
      renewInstanceId: () => (this.#instanceId = this.#newUuid()),
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
          pin: () => pinnedRows(db),
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
    this.#instanceId = undefined;
    this.#kept.clear();
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
      pin: () => {
        if (process?.isDead) throw new StoreCrash("the process is dead");
        return pinnedRows(store.db);
      },
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

  #restore(name: string, projections: Projections, identity: StoreIdentity, process: Owner | undefined): RestoredStore {
    const kind = JSON.stringify([storeKindOf(projections), identity]);
    const store = newStore(kind, projections, identity, this.#random);
    const calls: Calls = { process, syncTime_ms: () => this.#syncTime_ms(), on: this.#onCall };
    const inserts = new TableInserts(store.db);
    const files = new Map<ByteFileName, OpenFile>();
    let isOver = false;
    const topicId = this.options.topicId?.();
    const requireAlive = (): void => {
      if (process?.isDead) throw new StoreCrash("the process is dead");
    };
    return {
      insert: (rows) => {
        requireAlive();
        inserts.insert(rows);
      },
      bytes: (file) => {
        const bytes = store.bytes.get(file) ?? emptyFiles.pop() ?? new SimulatedFile();
        store.bytes.set(file, bytes);
        const handle = files.get(file) ?? new OpenFile(bytes, calls);
        files.set(file, handle);
        return handle;
      },
      place: async (onReady) => {
        for (const file of files.values()) await file.sync();
        requireAlive();
        onReady();
        this.#requireOwn(name, store, [topicId, this.options.topicId?.()]);
        const before = this.#stores.get(name);
        if (before) giveBack(before);
        this.#stores.set(name, store);
        isOver = true;
      },
      drop: () => {
        if (!isOver) giveBack(store);
        isOver = true;
      },
    };
  }

  #requireOwn(name: string, { db }: Store, topicIds: readonly (string | undefined)[]): void {
    if (topicIds[0] === UNHEARD) return;
    for (const [topicId] of db.query("SELECT topic_id FROM position").values() as [string | null][])
      if (topicId !== null && !topicIds.includes(topicId))
        this.options.onForeign?.(`${name} is made of a snapshot of topic ${topicId}, and there is ${topicIds.join()}`);
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

  #appliedFrom(topic: string, partition: number): number | undefined {
    const starts = [...this.#stores].flatMap(([name, { db }]) => {
      if (partitionIn(name, topic) !== partition) return [];
      if (db.inTransaction) return 0;
      const applied = "SELECT coalesce(first_offset, 0) AS first FROM position WHERE next_offset > 0";
      return db.query<{ first: number }, []>(applied).get()?.first ?? [];
    });
    return starts.length === 0 ? undefined : Math.min(...starts);
  }

  #positions(topic: string, projections: Projections): Map<number, number> {
    const positions = new Map<number, number>();
    for (const [name, { kind, db }] of this.#stores) {
      const partition = partitionIn(name, topic);
      const isOfKind = kind.startsWith(JSON.stringify([storeKindOf(projections)]).slice(0, -1));
      if (partition === undefined || !isOfKind) continue;
      if (db.inTransaction) db.run("ROLLBACK");
      const saved = "SELECT next_offset - coalesce(first_offset, 0) AS offsets FROM position";
      const row = db.query<{ offsets: number }, []>(saved).get();
      if (row) positions.set(partition, row.offsets);
    }
    return positions;
  }
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
