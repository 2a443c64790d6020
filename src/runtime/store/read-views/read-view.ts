import { constants, Database } from "bun:sqlite";
import { statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { kindsIn, type StoreKind } from "../../projections.ts";
import { type ByteFile, openByteFileToRead } from "../byte-file.ts";
import { damagedRow, isMissing } from "../store-failures.ts";
import { type StoreFiles, storeFiles } from "../store-files.ts";
import { StoreMemory } from "../store-memory.ts";
import { notAStore, storeError } from "./read-view-failures.ts";

/** Up to where a partition is saved in a store. */
export interface SavedPosition {
  readonly partition: number;
  readonly nextOffset: number;
  /** The offset at which the rows begin. */
  readonly firstOffset: number;
}

interface StoreRow {
  readonly name: string;
  readonly version: number;
  readonly log_id: string;
  readonly topic: string;
}

interface PositionRow {
  readonly partition: number;
  readonly next_offset: number;
  readonly first_offset: number | null;
}

/** How long SQLite waits for a lock. */
const BUSY_WAIT_MS_MAX = 500;

/**
 * A store's files as of its last save, to be read only, whether or not a service has them open. Nothing is written or
 * created, not even the files that SQLite makes for its readers, and no writer waits for it.
 *
 * ```
 *  open, in one transaction of SQLite ──dispose──▶ closed
 * ```
 * The database does not change until it is closed. The files of bytes may: a service writes over what only rows before
 * its last save refer to. Checksums show that as damage; `isLatest` tells whether it may be none.
 */
export class ReadView implements Disposable {
  /** The kinds of the projections that the store holds. */
  readonly projections: readonly StoreKind[];
  readonly logId: string;
  readonly topic: string;
  /** Those of the partitions of which something is saved, ascending. */
  readonly positions: readonly SavedPosition[];
  readonly files: StoreFiles;
  /** Another one after each save. */
  readonly #mark: string;
  /** What the database's file was when it was opened, if it must not change before it is closed. */
  readonly #whole: string | undefined;

  /** Throws an AppError for what is no store, or cannot be read now. */
  constructor(readonly path: string) {
    let db: Database | undefined;
    try {
      const { ino } = statSync(path);
      const hasLog = hasBytes(`${path}-wal`);
      this.#whole = hasLog ? undefined : fileNow(path);
      db = openToRead(path, hasLog);
      const store = readStore(db, path);
      this.projections = kindsIn(store);
      this.logId = store.log_id;
      this.topic = store.topic;
      this.positions = readPositions(db);
      this.#mark = JSON.stringify([ino, this.positions]);
      this.files = storeFiles(db, path, { memory: new StoreMemory(), openBytes: openBytesToRead });
    } catch (e) {
      db?.close();
      throw storeError(path, e);
    }
  }

  /** Whether the store has saved nothing since. */
  isLatest(): boolean {
    using now = new ReadView(this.path);
    return now.#mark === this.#mark;
  }

  /** Whether a service that was started since has changed the database under the read view. */
  get isOverwritten(): boolean {
    return this.#whole !== undefined && this.#whole !== fileNow(this.path);
  }

  [Symbol.dispose](): void {
    this.files.close();
  }
}

const hasBytes = (path: string): boolean => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;

function fileNow(path: string): string {
  const { ino, size, mtimeMs } = statSync(path);
  return JSON.stringify([ino, size, mtimeMs]);
}

function openToRead(path: string, hasLog: boolean): Database {
  // Without a write-ahead log, the file alone is the whole store. SQLite would make a log, unless the file is said not
  // to change. With one, SQLite would write to the log's index, or make it, unless it may only read that.
  const how = hasLog ? "readonly_shm=1" : "immutable=1";
  const uri = `${pathToFileURL(path).href}?mode=ro&${how}`;
  const db = new Database(uri, constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI);
  db.run(`PRAGMA busy_timeout = ${BUSY_WAIT_MS_MAX}`);
  db.run("BEGIN");
  return db;
}

function readStore(db: Database, path: string): StoreRow {
  const hasTables = "SELECT count(*) AS count FROM sqlite_schema WHERE name IN ('store', 'position')";
  const { count } = db.query<{ count: number }, []>(hasTables).get() ?? { count: 0 };
  const store = count === 2 ? db.query<StoreRow, []>("SELECT name, version, log_id, topic FROM store").get() : null;
  if (store === null) throw notAStore(path);
  return store;
}

const readPositions = (db: Database): SavedPosition[] =>
  db
    .query<PositionRow, []>("SELECT partition, next_offset, first_offset FROM position ORDER BY partition")
    .all()
    .map(({ partition, next_offset, first_offset }) => ({
      partition,
      nextOffset: next_offset,
      firstOffset: first_offset ?? 0,
    }));

function openBytesToRead(path: string): ByteFile {
  try {
    return openByteFileToRead(path);
  } catch (e) {
    throw isMissing(e) ? damagedRow(path, e) : e;
  }
}
