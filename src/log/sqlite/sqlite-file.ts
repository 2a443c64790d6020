import { Database } from "bun:sqlite";
import type { Clock } from "../../system/clock.ts";
import { AppError } from "../../errors.ts";
import { noAccessToDatabase } from "../../system/file-access.ts";
import type { NewUuid } from "../../system/random.ts";

const FORMAT_VERSION = 1;
/** Opening waits this long for other processes that are opening or recovering the file. */
const OPEN_WAIT_MS_MAX = 5_000;
/** How long one attempt may block the event loop while another process writes. Between attempts the loop is free. */
const BUSY_BLOCK_MS_MAX = 20;
const BUSY_RETRY_MS = 5;

/** Asks SQLite whether the file still is where it was opened. It costs less than a microsecond. */
const SQLITE_FCNTL_HAS_MOVED = 20;

/**
 * A record's rowid is its partition's row and its offset side by side. Appends therefore go to the end of a
 * partition's range, and reads are ranges.
 */
const OFFSETS_PER_PARTITION = 2 ** 40;
/** Rowids stay below 2^53, up to which JavaScript's numbers are exact. */
const PARTITION_ROWS_MAX = 2 ** 13 - 1;

export const recordId = (partitionRow: number, offset: number): number => partitionRow * OFFSETS_PER_PARTITION + offset;
export const offsetOf = (partitionRow: number, id: number): number => id - partitionRow * OFFSETS_PER_PARTITION;

const SCHEMA = `
  CREATE TABLE log (id TEXT NOT NULL) STRICT;
  CREATE TABLE partitions (
    row INTEGER PRIMARY KEY CHECK (row BETWEEN 1 AND ${PARTITION_ROWS_MAX}),
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    start_offset INTEGER NOT NULL DEFAULT 0,
    next_offset INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic, partition)
  ) STRICT;
  CREATE TABLE records (
    id INTEGER PRIMARY KEY, -- partition row * 2^40 + offset
    timestamp_ms INTEGER NOT NULL,
    key BLOB,
    value BLOB,
    headers BLOB
  ) STRICT;
  CREATE TABLE fences (fencing_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
  CREATE TABLE group_holders (
    group_name TEXT NOT NULL, topic TEXT NOT NULL, owner TEXT NOT NULL, since_ms INTEGER NOT NULL,
    PRIMARY KEY (group_name, topic)
  ) STRICT;
  CREATE TABLE group_offsets (
    group_name TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    metadata TEXT,
    PRIMARY KEY (group_name, topic, partition)
  ) STRICT;
`;

export interface LogFileOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly newUuid: NewUuid;
  /** How long a write waits for other processes' writes before it gives up with `LOG_UNAVAILABLE`. */
  readonly write_wait_ms_max: number;
}

/**
 * The SQLite file of the embedded log: one connection, its schema, its transactions. The file is the truth, so every
 * commit is synced to the disk (`synchronous=FULL`). Measured, that costs nothing once batches reach 100 records.
 */
export class LogFile {
  readonly db: Database;
  readonly id: string;
  #closed = false;
  /** SQLite's answer is an int, but Bun wants room for 8 bytes. */
  readonly #hasMoved = new Int32Array(2);
  readonly #options: LogFileOptions;

  /**
   * Opens or creates the file, as SQLite's Database does, so that there is no LogFile that is not open. Throws
   * `LOG_UNAVAILABLE` if that fails.
   */
  constructor(options: LogFileOptions) {
    this.#options = options;
    try {
      this.db = new Database(options.path, { create: true, strict: true });
    } catch (error) {
      throw this.#unavailable("opened", error);
    }
    try {
      this.db.run(`PRAGMA busy_timeout = ${OPEN_WAIT_MS_MAX}`);
      this.#useWal();
      // I1: what is acknowledged is on the disk.
      this.db.run("PRAGMA synchronous = FULL");
      this.id = this.db.transaction(() => this.#prepareSchema()).immediate();
      this.db.run(`PRAGMA busy_timeout = ${BUSY_BLOCK_MS_MAX}`);
    } catch (error) {
      this.db.close();
      throw this.#unavailable("opened", error);
    }
  }

  /**
   * Switching a new file to WAL needs exclusive access for a moment, and SQLite does not always wait for that by
   * itself.
   */
  #useWal(): void {
    for (let left_ms = OPEN_WAIT_MS_MAX; ; left_ms -= BUSY_RETRY_MS) {
      try {
        this.db.run("PRAGMA journal_mode = WAL");
        return;
      } catch (error) {
        if (!isBusy(error) || left_ms <= 0) throw error;
        Bun.sleepSync(BUSY_RETRY_MS);
      }
    }
  }

  #prepareSchema(): string {
    const version = (this.db.query("PRAGMA user_version").get() as { user_version: number }).user_version;
    if (version === 0) {
      this.db.run(SCHEMA);
      this.db.run(`PRAGMA user_version = ${FORMAT_VERSION}`);
      this.db.query("INSERT INTO log (id) VALUES (?)").run(this.#options.newUuid());
    } else if (version !== FORMAT_VERSION) {
      throw new Error(
        `it has format ${version}, this program writes format ${FORMAT_VERSION}: use the program that made it or another directory`,
      );
    }
    // The column was added later; programs from before it read and write the file as they did.
    if (this.db.query("SELECT 1 FROM pragma_table_info('group_offsets') WHERE name = 'metadata'").get() === null)
      this.db.run("ALTER TABLE group_offsets ADD COLUMN metadata TEXT");
    return (this.db.query("SELECT id FROM log").get() as { id: string }).id;
  }

  /** Runs `body` on one unchanging state of the file. Throws `LOG_UNAVAILABLE`. */
  read<T>(body: () => T): T {
    this.#checkOpen();
    return this.#rollBackOnError("read", () => {
      this.db.query("BEGIN").run();
      const result = body();
      this.db.query("COMMIT").run();
      return result;
    });
  }

  /**
   * Runs `body` in one write transaction, which is not committed once `deadline_ms` has come. Whatever `body` itself
   * throws is passed on after a rollback. Rejects with:
   *
   * - `LOG_UNAVAILABLE`: nothing of it happened.
   * - `APPEND_OUTCOME_UNKNOWN`: the disk failed while the commit was written.
   */
  async write<T>(body: () => T, deadline_ms = Number.POSITIVE_INFINITY): Promise<T> {
    const { clock, write_wait_ms_max } = this.#options;
    const waitEnd_ms = Math.min(deadline_ms, clock.now_ms() + write_wait_ms_max);
    // Without this turn of the event loop, a caller that writes batch after batch would keep all I/O waiting, and the
    // next batch could not gather.
    await clock.yield();
    while (true) {
      this.#checkOpen();
      try {
        this.db.query("BEGIN IMMEDIATE").run();
        break;
      } catch (error) {
        if (!isBusy(error) || clock.now_ms() >= waitEnd_ms) throw this.#unavailable("written", error);
      }
      await clock.sleep(BUSY_RETRY_MS);
    }
    const result = this.#rollBackOnError("written", () => {
      const done = body();
      if (clock.now_ms() < deadline_ms) return done;
      throw new AppError("LOG_UNAVAILABLE", "The embedded log could not be written in time; nothing was appended. Try again.");
    });
    try {
      this.db.query("COMMIT").run();
    } catch (error) {
      this.#rollback();
      // A full disk leaves no complete commit in the write-ahead log. Any other failure may leave one, and a restart
      // could then find it.
      if (isBusy(error) || codeOf(error).startsWith("SQLITE_FULL")) throw this.#unavailable("written", error);
      const message = `The embedded log ${this.#options.path} failed while a commit was written: ${String(error)}. Check the disk.`;
      throw new AppError("APPEND_OUTCOME_UNKNOWN", message, {}, error);
    }
    return result;
  }

  /** Changes when another connection, of this process or another, has committed (PRAGMA data_version). */
  dataVersion(): number {
    this.#checkOpen();
    return (this.db.query("PRAGMA data_version").get() as { data_version: number }).data_version;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.db.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new AppError("LOG_UNAVAILABLE", "The embedded log was closed by this process.");
    // Whatever is written to a deleted file is lost when the process ends.
    this.db.fileControl(SQLITE_FCNTL_HAS_MOVED, this.#hasMoved);
    if (this.#hasMoved[0] === 0) return;
    const message = `The embedded log ${this.#options.path} was removed or replaced. Put it back; to put a copy in its place, stop this process first.`;
    throw new AppError("LOG_UNAVAILABLE", message);
  }

  #rollBackOnError<T>(done: string, body: () => T): T {
    try {
      return body();
    } catch (error) {
      this.#rollback();
      throw isUnavailable(error) ? this.#unavailable(done, error) : error;
    }
  }

  #rollback(): void {
    if (!this.db.inTransaction) return;
    try {
      this.db.query("ROLLBACK").run();
    } catch {
      // SQLite has already rolled back by itself.
    }
  }

  #unavailable(done: string, error: unknown): AppError {
    const denied = noAccessToDatabase(this.#options.path);
    const hint = codeOf(error).startsWith("SQLITE_FULL")
      ? "Free some space on its disk."
      : denied === undefined
        ? "Check the file, its directory and disk."
        : `What is the matter: ${denied}`;
    const message = isBusy(error)
      ? `The embedded log ${this.#options.path} is being written by another process. Try again.`
      : `The embedded log ${this.#options.path} cannot be ${done}: ${error instanceof Error ? error.message : String(error)}. ${hint}`;
    return new AppError("LOG_UNAVAILABLE", message, {}, error);
  }
}

const codeOf = (error: unknown): string => {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
};
const isBusy = (error: unknown): boolean => /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error));
/** Whether the file, the disk or the memory failed, rather than the statement. */
export const isUnavailable = (error: unknown): boolean =>
  /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|NOMEM|CORRUPT|NOTADB|PERM|PROTOCOL)/.test(codeOf(error));
