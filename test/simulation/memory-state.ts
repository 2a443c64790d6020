import { Database } from "bun:sqlite";
import type { Projection } from "../../src/partitions/projection.ts";
import type { State } from "../../src/partitions/state-dir.ts";
import { type OpenedDatabase, prepareDatabase, type StoreIdentity } from "../../src/partitions/store.ts";

/** A database that lives as long as the disk it is on, whoever closes it. */
function kept(db: Database): Database {
  db.close = () => undefined;
  return db;
}

const discard = (db: Database): void => Database.prototype.close.call(db);

/** A process's disk: its SQLite files, in memory. It outlives the process; a test may make it forget. */
export class Disk implements State {
  #files = new Map<string, Database>();
  /** Older states of the files, each whole, as a power cut may leave them. */
  #older = new Map<string, Uint8Array>();

  open(name: string, projection: Projection<unknown>, identity: StoreIdentity): OpenedDatabase {
    let db = this.#files.get(name);
    if (db?.inTransaction) db.run("ROLLBACK");
    if (!db) {
      db = kept(new Database(":memory:", { strict: true }));
      this.#files.set(name, db);
    }
    const other = prepareDatabase(db, projection, identity);
    if (other !== undefined) throw new Error(`${name}: ${other}`);
    return { db, setAside: undefined };
  }

  setAside(name: string): string {
    const db = this.#files.get(name);
    if (db) discard(db);
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

  /** What a later `tear` goes back to. */
  remember(): void {
    for (const [name, db] of this.#files) if (!db.inTransaction) this.#older.set(name, db.serialize());
  }

  /** The newest transactions are lost, as they may be after a power cut with synchronous=NORMAL. */
  tear(): void {
    for (const [name, bytes] of this.#older) {
      const newest = this.#files.get(name);
      if (newest) discard(newest);
      this.#files.set(name, kept(Database.deserialize(bytes, { strict: true })));
    }
  }

  lose(): void {
    for (const db of this.#files.values()) discard(db);
    this.#files = new Map();
    this.#older = new Map();
  }
}
