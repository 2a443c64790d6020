import { Database, type Statement } from "bun:sqlite";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import type { LogRecord } from "../../log/port.ts";
import type { Outcomes, PartitionMeter } from "../../telemetry/meters.ts";
import type { Projection, ProjectionStore } from "../projection.ts";

/** What a store's rows are a function of: the log, the topic, the projection and its version. Rows of anything else are not taken over. */
export interface StoreIdentity {
  readonly logId: string;
  readonly topic: string;
  /** Of a file that holds one partition only. */
  readonly partition?: number;
}

/**
 * How long SQLite waits for a lock that another program holds. The whole process waits with it, so a store that is locked for longer is
 * tried again later.
 */
const BUSY_WAIT_MS_MAX = 5;

/** shared: other processes may look in, which costs each query two locks. exclusive: none may (measured: 6 % of a cart's time). */
export type Locking = "shared" | "exclusive";

/** A file that is not to be used, and why; it is where it was. */
export interface Unusable {
  readonly unusable: string;
}

export type OpenedDatabase = { readonly db: Database } | Unusable;

/**
 * Opens a projection's database file, making it if it is missing. A file that is damaged, or that holds another projection, another
 * version or another log's rows, is left where it is: whoever knows that the log can rebuild it moves it aside and opens again.
 */
export function openDatabase(
  path: string,
  projection: Projection<unknown>,
  identity: StoreIdentity,
  locking: Locking = "shared",
): OpenedDatabase {
  mkdirSync(dirname(path), { recursive: true });
  try {
    const db = openFile(path, projection, identity, locking);
    return typeof db === "string" ? { unusable: db } : { db };
  } catch (e) {
    if (!isDamage(e)) throw e;
    return { unusable: `it is damaged (${e.code})` };
  }
}

/** Whether the file holds what was applied of the topic; true also where it cannot be told, as while another program holds it. */
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

/** Gives a closed database file another name, so that the next `openDatabase` makes a new one. Returns that name. */
export function moveAside(path: string, wall_ms: number): string {
  const aside = `${path}.set-aside-${wall_ms}`;
  for (const suffix of ["", "-wal", "-shm"]) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  return aside;
}

const sqliteCode = (e: unknown): string => (e instanceof Error ? String((e as { code?: unknown }).code) : "");

/** Whether it was the store that failed: a full disk, one that cannot be read, a lock that is held too long. It may work again later. */
export const isStoreFailure = (e: unknown): boolean => sqliteCode(e).startsWith("SQLITE_");

/** Whether another program holds the store's lock. */
export const isLocked = (e: unknown): boolean => /^SQLITE_(BUSY|LOCKED)/.test(sqliteCode(e));

/** Whether the file could not be opened at all. */
export const cannotBeOpened = (e: unknown): boolean => sqliteCode(e).startsWith("SQLITE_CANTOPEN");

/** Whether SQLite found a file damaged (https://www.sqlite.org/rescode.html#corrupt): trying again does not help. */
export const isDamage = (e: unknown): e is Error & { readonly code: string } => /^SQLITE_(CORRUPT|NOTADB)/.test(sqliteCode(e));

/** What a row says that cannot be read, although SQLite takes it for a row. */
export const damagedRow = (what: string, cause: unknown): Error =>
  Object.assign(new Error(`${what} cannot be read`, { cause }), { code: "SQLITE_CORRUPT" });

function openFile(path: string, projection: Projection<unknown>, identity: StoreIdentity, locking: Locking): Database | string {
  const db = new Database(path, { create: true, strict: true });
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_WAIT_MS_MAX}`);
    if (locking === "exclusive") db.run("PRAGMA locking_mode = EXCLUSIVE");
    db.run("PRAGMA journal_mode = WAL");
    // A power cut may take the newest transactions, offset and rows together; they are read from the log again.
    db.run("PRAGMA synchronous = NORMAL");
    db.run("PRAGMA cache_size = -16000");
    const other = prepareDatabase(db, projection, identity);
    if (other === undefined) return db;
    db.close();
    return other;
  } catch (e) {
    db.close();
    throw e;
  }
}

/** Makes the tables where there are none. Says what is wrong with a database that is another projection's or another log's. */
export function prepareDatabase(db: Database, projection: Projection<unknown>, identity: StoreIdentity): string | undefined {
  const expected = { name: projection.name, version: projection.version, log_id: identity.logId, topic: identity.topic };
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
    db.run(projection.schema);
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
  // Only now: what is not to be used is left as it was made.
  addColumns(db);
  return undefined;
}

/** What a position has beside what it had at first; a store from then gets it here, empty. */
const ADDED_COLUMNS = { last_epoch: "INTEGER", topic_id: "TEXT", first_offset: "INTEGER", last_of_all: "INTEGER" };

function addColumns(db: Database): void {
  const there = new Set(
    db
      .query<{ name: string }, []>("SELECT name FROM pragma_table_info('position')")
      .all()
      .map(({ name }) => name),
  );
  for (const [name, type] of Object.entries(ADDED_COLUMNS))
    if (!there.has(name)) db.run(`ALTER TABLE position ADD COLUMN ${name} ${type}`);
}

/**
 * The last record applied, kept so that a log that holds another one there is noticed. A batch that cannot be decoded is one, too, at its
 * last offset and without bytes.
 */
export interface LastRecord {
  readonly offset: number;
  readonly checksum: number;
  /** Unknown where the store is from before it was kept. */
  readonly leaderEpoch: number | undefined;
}

export const lastRecordOf = (record: LogRecord): LastRecord => ({
  offset: lastOffsetOf(record),
  checksum: checksum(record),
  leaderEpoch: record.leaderEpoch,
});

/** Whether the log's record at the offset is the one that was applied: offset and leader epoch name it, the checksum proves it. */
export const isSameRecord = (last: LastRecord, record: LogRecord): boolean =>
  lastOffsetOf(record) === last.offset &&
  (last.leaderEpoch === undefined || record.leaderEpoch === last.leaderEpoch) &&
  checksum(record) === last.checksum;

export const lastOffsetOf = ({ offset, undecodable }: LogRecord): number => undecodable?.lastOffset ?? offset;

/** CRC-32 of key and value. */
function checksum(record: LogRecord): number {
  return Bun.hash.crc32(record.value ?? "", Bun.hash.crc32(record.key ?? ""));
}

interface PositionRow {
  readonly next_offset: number;
  readonly last_offset: number | null;
  readonly last_checksum: number | null;
  readonly last_epoch: number | null;
  readonly topic_id: string | null;
  readonly first_offset: number | null;
  readonly last_of_all: number | null;
}

/** One partition's rows and its position, which move together. */
export class PartitionStore<View> {
  readonly projection: ProjectionStore<View>;
  /** Everything before it is in the rows; undefined before the first commit. */
  nextOffset: number | undefined;
  last: LastRecord | undefined;
  /** Whether `last` is the last of all that was applied: a store from before may have had batches behind it that cannot be decoded. */
  isLastOfAll = false;
  /** Of the topic that the rows are of; undefined until the log has told it. Kept with the next commit. */
  topicId: string | undefined;
  /** Where the rows begin; what the log had before is not in them. Kept with the next commit. */
  firstOffset: number | undefined;
  readonly #begin: Statement;
  readonly #write: Statement;
  readonly #commit: Statement;
  /** Of the file. */
  readonly path: string;

  constructor(
    private readonly db: Database,
    projection: Projection<View>,
    readonly partition: number,
    private readonly onClose: () => void,
    private readonly meter?: PartitionMeter,
  ) {
    this.projection = projection.open(db, partition);
    this.path = db.filename;
    const row = db
      .query<PositionRow, [number]>(
        "SELECT next_offset, last_offset, last_checksum, last_epoch, topic_id, first_offset, last_of_all FROM position WHERE partition = ?",
      )
      .get(partition);
    if (row) {
      this.nextOffset = row.next_offset;
      this.topicId = row.topic_id ?? undefined;
      this.firstOffset = row.first_offset ?? undefined;
      this.isLastOfAll = row.last_of_all === 1;
      if (row.last_offset !== null && row.last_checksum !== null)
        this.last = { offset: row.last_offset, checksum: row.last_checksum, leaderEpoch: row.last_epoch ?? undefined };
    }
    this.#begin = db.query("BEGIN IMMEDIATE");
    this.#commit = db.query("COMMIT");
    this.#write = db.query(`INSERT INTO position
      (partition, next_offset, last_offset, last_checksum, last_epoch, topic_id, first_offset, last_of_all)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
      ON CONFLICT (partition) DO UPDATE SET next_offset = ?2, last_offset = ?3, last_checksum = ?4, last_epoch = ?5, topic_id = ?6,
      first_offset = ?7, last_of_all = ?8`);
  }

  /** Writes the touched rows and the position in one transaction, or throws and has written nothing. */
  commit(nextOffset: number, last: LastRecord | undefined): void {
    const began_s = this.meter?.now_s() ?? 0;
    let outcomes: Outcomes | undefined;
    if (this.nextOffset === undefined) this.firstOffset ??= 0;
    const isLastOfAll = this.isLastOfAll || this.nextOffset === undefined || last !== this.last;
    this.#begin.run();
    try {
      outcomes = this.projection.flush();
      this.#write.run(
        this.partition,
        nextOffset,
        last?.offset ?? null,
        last?.checksum ?? null,
        last?.leaderEpoch ?? null,
        this.topicId ?? null,
        this.firstOffset ?? null,
        isLastOfAll ? 1 : null,
      );
      this.#commit.run();
    } catch (e) {
      if (this.db.inTransaction) this.db.run("ROLLBACK");
      throw e;
    }
    this.nextOffset = nextOffset;
    this.last = last;
    this.isLastOfAll = isLastOfAll;
    this.meter?.committed(this.partition, outcomes, this.meter.now_s() - began_s);
  }

  close(): void {
    this.onClose();
  }
}
