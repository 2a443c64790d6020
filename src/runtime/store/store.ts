import type { Statement } from "bun:sqlite";
import type { StoreDatabase } from "./store-database.ts";
import type { LogRecord } from "../../log/port.ts";
import type { Outcomes, PartitionMeter } from "../../telemetry/meters.ts";
import type { Fold, Projection } from "../projection.ts";
import { OpenProjections, type Projections } from "../projections.ts";

/**
 * The last record applied. It is kept so that a log that holds another record there is noticed. A batch that cannot be
 * decoded counts as one record, at its last offset and without bytes.
 */
export interface LastRecord {
  readonly offset: number;
  readonly checksum: number;
  /** Undefined in a store from before the epoch was kept. */
  readonly leaderEpoch: number | undefined;
}

export const lastRecordOf = (record: LogRecord): LastRecord => ({
  offset: lastOffsetOf(record),
  checksum: checksum(record),
  leaderEpoch: record.leaderEpoch,
});

/**
 * Whether the log's record at the offset is the one that was applied: offset and leader epoch identify it, and the
 * checksum proves it.
 */
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
export class PartitionStore {
  /** The fold of all the store's projections as one. */
  readonly projections: Fold;
  readonly #open: OpenProjections;
  /** The next offset to apply: everything before it is in the rows. Undefined before the first commit. */
  nextOffset: number | undefined;
  last: LastRecord | undefined;
  /**
   * Whether nothing was applied after `last`. A store from before this was kept may have had batches after it that
   * cannot be decoded.
   */
  isLastOfAll = false;
  /**
   * The id of the topic that the rows come from; undefined until the log has told it. Written with the next commit.
   */
  topicId: string | undefined;
  /** The offset at which the rows begin; what the log had before is not in them. Written with the next commit. */
  firstOffset: number | undefined;
  readonly #begin: Statement;
  readonly #write: Statement;
  readonly #commit: Statement;
  /** The path of the file. */
  readonly path: string;

  constructor(
    private readonly db: StoreDatabase,
    projections: Projections,
    readonly partition: number,
    private readonly onClose: () => void,
    private readonly meter?: PartitionMeter,
  ) {
    this.#open = new OpenProjections(projections, db, partition);
    this.projections = this.#open.together;
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

  /** The queries on that projection's committed rows. */
  view<View>(projection: Projection<View>): View {
    return this.#open.view(projection);
  }

  /** Writes the touched rows and the position in one transaction, or throws and has written nothing. */
  commit(nextOffset: number, last: LastRecord | undefined): void {
    const began_s = this.meter?.now_s() ?? 0;
    let outcomes: Outcomes | undefined;
    if (this.nextOffset === undefined) this.firstOffset ??= 0;
    const isLastOfAll = this.isLastOfAll || this.nextOffset === undefined || last !== this.last;
    // I2: rows and position move in one transaction, or neither does.
    this.#begin.run();
    try {
      outcomes = this.projections.flush();
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
