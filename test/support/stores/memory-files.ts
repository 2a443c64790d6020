import { Database } from "bun:sqlite";
import type { Fold } from "../../../src/runtime/projection.ts";
import type { Projections } from "../../../src/runtime/projections.ts";
import { prepareDatabase } from "../../../src/runtime/store/store-file.ts";
import type { StoreDatabase } from "../../../src/runtime/store/store-database.ts";
import type { ByteFileName, StoreFiles } from "../../../src/runtime/store/store-files.ts";
import { StoreMemory } from "../../../src/runtime/store/store-memory.ts";
import type { Random } from "../../../src/system/random.ts";
import type { PinnedDatabase } from "../../../src/runtime/store/copy/pinned-database.ts";
import { MemoryFile } from "./memory-file.ts";
import { pinnedRows } from "./pinned-rows.ts";

/** A store's files in memory, with its tables. They outlive whoever opens them, as files on a disk do. */
export class MemoryFiles implements StoreFiles {
  readonly #db = new Database(":memory:", { strict: true });
  /** The database; a test may put one with faults in its place. */
  db: StoreDatabase = this.#db;
  readonly memory = new StoreMemory();
  #bytes = new Map<ByteFileName, MemoryFile>();

  constructor(projections: Projections) {
    const other = prepareDatabase(this.#db, projections, { logId: "log", topic: "orders" });
    if (other !== undefined) throw new Error(`A new store is not usable: ${other}`);
  }

  readonly bytes = (name: ByteFileName): MemoryFile => {
    const file = this.#bytes.get(name) ?? new MemoryFile();
    this.#bytes.set(name, file);
    return file;
  };

  async syncDatabase(): Promise<void> {}

  readonly pin = (): PinnedDatabase => pinnedRows(this.#db);

  close(): void {}

  /** The power is cut: chance decides what is left of the bytes that were not synced. The database keeps what it committed. */
  crash(random?: Random): void {
    if (this.#db.inTransaction) this.#db.run("ROLLBACK");
    this.#bytes = new Map([...this.#bytes].map(([name, file]) => [name, file.crash(random)]));
  }
}

/** Saves what the fold has kept, as a store does. */
export async function saveAll(fold: Fold, { db }: StoreFiles): Promise<void> {
  const saving = fold.save();
  await saving.synced;
  db.transaction(() => saving.write())();
  saving.committed();
}
