import { Database } from "bun:sqlite";

/**
 * An exclusive lock between processes: a POSIX lock of the operating system, which SQLite takes on an empty file. It
 * ends with the process, even on kill -9, and not before, unless it is released. Two locks on one path exclude each
 * other within a process too. The file stays when the lock is released: if it were removed, two processes could lock
 * two files of the same name.
 *
 * ```
 *  free ──tryTake(), tryShare()──▶ held ──release()──▶ free
 * ```
 */
export class FileLock {
  #db: Database | undefined;

  constructor(readonly path: string) {}

  /** Returns false while another holder has it. Throws what SQLite throws if the file cannot be used at all. */
  tryTake(): boolean {
    return this.#try((db) => db.run("BEGIN EXCLUSIVE"));
  }

  /** Takes the lock together with others who share it. Returns false while a holder has it alone, or is trying to. */
  tryShare(): boolean {
    return this.#try((db) => {
      db.run("BEGIN");
      db.query("SELECT 1 FROM sqlite_schema").get();
    });
  }

  #try(take: (db: Database) => void): boolean {
    const db = new Database(this.path, { create: true });
    try {
      take(db);
    } catch (e) {
      db.close();
      const { code } = e as { code?: unknown };
      if (typeof code === "string" && code.startsWith("SQLITE_BUSY")) return false;
      throw e;
    }
    this.#db = db;
    return true;
  }

  release(): void {
    this.#db?.close();
    this.#db = undefined;
  }
}
