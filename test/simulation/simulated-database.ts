import type { Database } from "bun:sqlite";

type Rows = ReadonlyMap<string, readonly unknown[][]>;

/** How often the system writes a commit to the disk without being asked. */
const WRITTEN_BACK_CHANCE = 0.2;
/** How often a power cut takes back what was committed and not synced. */
const TAKEN_BACK_CHANCE = 0.5;

/**
 * What a power cut leaves of a database with `synchronous = NORMAL`: everything that was committed before the last sync
 * began, or that the system wrote of its own, and, as chance has it, all that was committed since then or none of it.
 *
 * ```
 *  synced ──commit──▶ not synced ──sync──▶ synced
 *                         └──powerCut()──▶ as at the last sync, or as it is
 * ```
 */
export class SimulatedDatabase {
  #commits = 0;
  /** The rows as they are sure to be there, if that is not as they are. */
  #synced: Rows | undefined;
  #before: Rows | undefined;

  constructor(
    private readonly db: Database,
    private readonly tables: readonly string[],
    private readonly random: () => number,
  ) {}

  begins(): void {
    this.#before = this.#synced ?? this.#rows();
  }

  committed(): void {
    this.#commits++;
    this.#synced = this.random() < WRITTEN_BACK_CHANCE ? undefined : this.#before;
  }

  /** Returns what to give to `endSync`. */
  beginSync(): number {
    return this.#commits;
  }

  endSync(commits: number): void {
    if (commits === this.#commits) this.#synced = undefined;
  }

  powerCut(): void {
    const synced = this.#synced;
    this.#synced = undefined;
    if (synced === undefined || this.random() >= TAKEN_BACK_CHANCE) return;
    if (this.db.inTransaction) this.db.run("ROLLBACK");
    for (const [table, rows] of synced) {
      this.db.query(`DELETE FROM ${table}`).run();
      for (const row of rows)
        this.db.query(`INSERT INTO ${table} VALUES (${row.map(() => "?").join()})`).run(...(row as string[]));
    }
  }

  #rows(): Rows {
    return new Map(this.tables.map((table) => [table, this.db.query(`SELECT * FROM ${table}`).values() as unknown[][]]));
  }
}
