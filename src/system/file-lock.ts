import { Database } from "bun:sqlite";

/**
 * An exclusive lock between processes: a POSIX lock of the operating system, taken by SQLite on an empty file. It ends with the
 * process, also on kill -9, and with nothing else. Two locks on one path within a process exclude each other too. The file stays
 * when the lock goes: to remove it would let two processes lock two files of one name.
 */
export class FileLock {
  #db: Database | undefined;

  constructor(readonly path: string) {}

  /** False while another holds it. Throws what SQLite throws when the file cannot be used at all. */
  tryTake(): boolean {
    const db = new Database(this.path, { create: true });
    try {
      db.run("BEGIN EXCLUSIVE");
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
