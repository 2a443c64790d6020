import type { Statement } from "bun:sqlite";
import type { StoreDatabase } from "../store-database.ts";
import { damagedStore } from "../store-failures.ts";
import type { LastRecord } from "./last-record.ts";

/** How far a partition is saved, and what its store needs to know that the log still holds the same. */
export interface Position {
  readonly nextOffset: number;
  readonly last: LastRecord | undefined;
  readonly isLastOfAll: boolean;
  readonly topicId: string | undefined;
  readonly firstOffset: number | undefined;
}

type Cell = number | string | null;

/** What the checksum is over: all of the row but itself. */
const CHECKED = "partition, next_offset, last_offset, last_checksum, last_epoch, topic_id, first_offset, last_of_all, generation";

/** Columns of the position that were added later. An older store gets them empty when it is opened. */
const ADDED_COLUMNS = {
  last_epoch: "INTEGER",
  topic_id: "TEXT",
  first_offset: "INTEGER",
  last_of_all: "INTEGER",
  generation: "INTEGER",
  checksum: "INTEGER",
};

/** Makes the tables as this version of the program needs them, where the store is an older one or new. */
export function completeTables(db: StoreDatabase): void {
  // Before the columns, so that a reader who finds those finds the table.
  db.run("CREATE TABLE IF NOT EXISTS stamps (file TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID");
  const there = new Set(
    db
      .query<{ name: string }, []>("SELECT name FROM pragma_table_info('position')")
      .all()
      .map(({ name }) => name),
  );
  for (const [name, type] of Object.entries(ADDED_COLUMNS))
    if (!there.has(name)) db.run(`ALTER TABLE position ADD COLUMN ${name} ${type}`);
}

/** Whether the store was ever opened by a program that keeps generations. */
export const keepsGenerations = (db: StoreDatabase): boolean =>
  db.query("SELECT 1 FROM pragma_table_info('position') WHERE name = 'checksum'").get() !== null;

/** A store's generation: how often it was saved since generations are kept. The store must keep them. */
export class Generation {
  readonly #newest: Statement;

  constructor(db: StoreDatabase) {
    this.#newest = db.query("SELECT max(generation) FROM position");
  }

  /** 0 before the first save. */
  read(): number {
    const [row] = this.#newest.values() as Cell[][];
    return typeof row?.[0] === "number" ? row[0] : 0;
  }
}

/**
 * The row of one partition in the table of positions. SQLite has no checksums, so each save adds one, of everything
 * small that the commit decides: the rows of all partitions, and what the projections say of theirs. The row with the
 * highest generation has the one that counts.
 */
export class PositionTable {
  readonly #generation: Generation;
  readonly #others: Statement;
  readonly #write: Statement;

  constructor(
    private readonly db: StoreDatabase,
    private readonly partition: number,
  ) {
    this.#generation = new Generation(db);
    this.#others = db.query(`SELECT ${CHECKED} FROM position WHERE partition <> ?`);
    this.#write = db.query(`INSERT INTO position
      (${CHECKED}, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
      ON CONFLICT (partition) DO UPDATE SET next_offset = ?2, last_offset = ?3, last_checksum = ?4, last_epoch = ?5, topic_id = ?6,
      first_offset = ?7, last_of_all = ?8, generation = ?9, checksum = ?10`);
  }

  /** Undefined if nothing of the partition is saved. */
  read(): Position | undefined {
    const row = this.db.query(`SELECT ${CHECKED} FROM position WHERE partition = ?`).values(this.partition)[0];
    if (row === undefined) return undefined;
    const [, nextOffset, offset, checksum, epoch, topicId, firstOffset, lastOfAll] = row as [
      number,
      number,
      number | null,
      number | null,
      number | null,
      string | null,
      number | null,
      number | null,
    ];
    return {
      nextOffset,
      last: offset === null || checksum === null ? undefined : { offset, checksum, leaderEpoch: epoch ?? undefined },
      isLastOfAll: lastOfAll === 1,
      topicId: topicId ?? undefined,
      firstOffset: firstOffset ?? undefined,
    };
  }

  /** Writes the row, of the next generation, in the caller's transaction. `checksum` is that of the projections' rows. */
  write({ nextOffset, last, isLastOfAll, topicId, firstOffset }: Position, checksum: number): void {
    const row: Cell[] = [
      this.partition,
      nextOffset,
      last?.offset ?? null,
      last?.checksum ?? null,
      last?.leaderEpoch ?? null,
      topicId ?? null,
      firstOffset ?? null,
      isLastOfAll ? 1 : null,
      this.#generation.read() + 1,
    ];
    const others = this.#others.values(this.partition) as Cell[][];
    this.#write.run(...row, checksumOf([row, ...others], checksum));
  }
}

/**
 * Throws an error of damage unless the positions, and the projections' rows with that checksum, are those of the last
 * save. A store from before there were checksums is taken as it is.
 */
export function requireChecksum(db: StoreDatabase, checksum: number): void {
  if (!keepsGenerations(db)) return;
  const rows = db.query(`SELECT ${CHECKED}, checksum FROM position`).values() as Cell[][];
  const generation = new Generation(db).read();
  if (generation === 0) {
    // Files are stamped in the transaction that begins to count.
    if (db.query("SELECT 1 FROM stamps").get() !== null) throw damagedStore("The store's generation is gone");
    return;
  }
  const newest = rows.find((row) => row.at(-2) === generation);
  const checked = rows.map((row) => row.slice(0, -1));
  if (newest?.at(-1) !== checksumOf(checked, checksum))
    throw damagedStore("The checksum of the store's position, totals and manifest is another");
}

/** A sum, so the order of the rows does not matter. */
function checksumOf(rows: readonly (readonly Cell[])[], checksum: number): number {
  let sum = Bun.hash.crc32(`${checksum}`);
  for (const row of rows) sum += Bun.hash.crc32(JSON.stringify(row));
  return sum % 2 ** 32;
}
