import type { Statement } from "bun:sqlite";
import type { StoreDatabase } from "./store-database.ts";
import { AppliedMark, type Mark } from "./position/applied-mark.ts";
import type { LastRecord } from "./position/last-record.ts";
import { type Position, PositionTable, requireChecksum } from "./position/position-table.ts";
import { type HeldStore, NO_BYTES } from "./copy/held-store.ts";
import { isStoreFailure } from "./store-failures.ts";
import type { StoreFiles } from "./store-files.ts";
import type { PartitionMeter } from "../../telemetry/meters.ts";
import type { Fold, Projection, Saving } from "../projection.ts";
import { OpenProjections, type Projections } from "../projections.ts";

/** What of a position is as it was when its saving began. */
interface Applied extends Pick<Position, "nextOffset" | "last" | "isLastOfAll"> {
  readonly digest: string | undefined;
}

/**
 * One partition's rows and its position. What is applied is kept in memory and answered from there; the store is a
 * checkpoint of it, in which rows and position move together.
 *
 * ```
 *  applied = saved ──keep()──▶ applied, not saved ──save()──▶ saving ──commit()──▶ saved up to where save() was called
 *                                  ▲                            └── abandon() ──┐
 *                                  └────────────────────────────────────────────┘
 * ```
 */
export class PartitionStore {
  /** The fold of all the store's projections as one. */
  readonly projections: Fold;
  readonly #open: OpenProjections;
  readonly #files: StoreFiles;
  readonly #db: StoreDatabase;
  /** The next offset to apply: everything before it is in the rows, kept or saved. Undefined if nothing ever was. */
  nextOffset: number | undefined;
  last: LastRecord | undefined;
  /**
   * Whether nothing was applied after `last`. A store from before this was kept may have had batches after it that
   * cannot be decoded.
   */
  isLastOfAll = false;
  /** The id of the topic that the rows come from; undefined until the log has told it. Saved with the next position. */
  topicId: string | undefined;
  /** The offset at which the rows begin; what the log had before is not in them. Saved with the next position. */
  firstOffset: number | undefined;
  /**
   * What a process that was killed had applied beyond the saved position; undefined once that is applied again. The log
   * must still have it (I7).
   */
  expected: Mark | undefined;
  /**
   * Whether the store was restored from a snapshot and has not come to the log's end since: somebody may have answered
   * from later rows.
   */
  #isRestored: boolean;
  #savedOffset: number | undefined;
  #savedDigest: string | undefined;
  readonly #mark: AppliedMark;
  readonly #position: PositionTable;
  readonly #begin: Statement;
  readonly #commit: Statement;
  /** The path of the file. */
  readonly path: string;

  constructor(
    files: StoreFiles,
    projections: Projections,
    readonly partition: number,
    private readonly onClose: () => void,
    private readonly meter?: PartitionMeter,
  ) {
    const { db } = files;
    this.#files = files;
    this.#db = db;
    this.#open = new OpenProjections(projections, files, partition);
    this.projections = this.#open.together;
    this.path = db.filename;
    requireChecksum(db, this.projections.checksum ?? 0);
    this.#position = new PositionTable(db, partition);
    const saved = this.#position.read();
    this.nextOffset = saved?.nextOffset;
    this.#savedOffset = saved?.nextOffset;
    this.#savedDigest = this.projections.digest;
    this.topicId = saved?.topicId;
    this.firstOffset = saved?.firstOffset;
    this.isLastOfAll = saved?.isLastOfAll === true;
    this.last = saved?.last;
    this.#mark = new AppliedMark(files.bytes("applied"), partition);
    const mark = this.#mark.read();
    if (mark && mark.nextOffset > (this.nextOffset ?? 0)) this.expected = mark;
    this.#isRestored = mark?.isRestored === true;
    this.#begin = db.query("BEGIN IMMEDIATE");
    this.#commit = db.query("COMMIT");
  }

  /** Opens the store in these files, which are closed with it, or at once if it cannot be opened. */
  static open(files: StoreFiles, projections: Projections, partition: number, meter?: PartitionMeter): PartitionStore {
    try {
      return new PartitionStore(files, projections, partition, () => files.close(), meter);
    } catch (e) {
      files.close();
      throw e;
    }
  }

  /**
   * Reports the store as opened, once it is kept. One that is only looked at, and then made of a snapshot, is not
   * reported as new.
   */
  reportOpened(): void {
    const known = this.expected?.nextOffset ?? this.nextOffset;
    this.meter?.opened(this.partition, known === undefined ? undefined : known - (this.nextOffset ?? 0));
  }

  /** The queries of that projection. */
  view<View>(projection: Projection<View>): View {
    return this.#open.view(projection);
  }

  /** Whether something is applied that the store's file does not have. */
  get isBehind(): boolean {
    return this.nextOffset !== this.#savedOffset;
  }

  /** Takes what was folded: everything before `nextOffset` is applied now. `last` is the last record of that. */
  keep(nextOffset: number, last: LastRecord | undefined): void {
    if (this.nextOffset === undefined) this.firstOffset ??= 0;
    this.isLastOfAll ||= this.nextOffset === undefined || last !== this.last;
    const outcomes = this.projections.keep();
    this.nextOffset = nextOffset;
    this.last = last;
    if (this.expected && nextOffset >= this.expected.nextOffset) this.expected = undefined;
    if (!this.expected && nextOffset > 0) this.#writeMark();
    if (outcomes) this.meter?.applied(this.partition, outcomes);
  }

  /** Begins to save what is applied. There may be one saving at a time. */
  save(): StoreSaving {
    const { nextOffset = 0, last, isLastOfAll } = this;
    const { digest } = this.projections;
    const rows = this.projections.save();
    return {
      synced: rows.synced,
      commit: () => this.#commitTogether(rows, { nextOffset, last, isLastOfAll, digest }),
      abandon: () => rows.abandoned(),
    };
  }

  get isRestored(): boolean {
    return this.#isRestored;
  }

  /** Notes that the log's end was reached. */
  reachedEnd(): void {
    this.#files.forgetHalt?.();
    if (!this.#isRestored) return;
    this.#isRestored = false;
    this.#writeMark();
  }

  /** Holds what is saved, all of it as of one commit, so that it can be copied while the store goes on. */
  hold(): HeldStore {
    const database = this.#files.pin();
    try {
      const held = this.projections.hold?.() ?? NO_BYTES;
      const release = (): void => {
        held.release();
        database.close();
      };
      return { database, held, digest: this.#savedDigest, release };
    } catch (e) {
      database.close();
      throw e;
    }
  }

  /** Up to where the store's file has everything; undefined if nothing is saved. */
  get savedOffset(): number | undefined {
    return this.#savedOffset;
  }

  #writeMark(): void {
    try {
      this.#mark.write({ nextOffset: this.nextOffset ?? 0, last: this.last, isRestored: this.#isRestored });
    } catch (e) {
      // A store that fails is noticed when it is saved. Until then, the mark only says less.
      if (!isStoreFailure(e)) throw e;
    }
  }

  close(): void {
    this.#open.close();
    this.onClose();
  }

  /** Writes the rows and the position in one transaction, or throws and has written nothing. */
  #commitTogether(rows: Saving, applied: Applied): void {
    const began_s = this.meter?.now_s() ?? 0;
    // I2: rows and position move in one transaction, or neither does.
    this.#begin.run();
    try {
      rows.write();
      const { topicId, firstOffset } = this;
      this.#position.write({ ...applied, topicId, firstOffset }, rows.checksum?.() ?? 0);
      this.#commit.run();
    } catch (e) {
      if (this.#db.inTransaction) this.#db.run("ROLLBACK");
      throw e;
    }
    this.#savedOffset = applied.nextOffset;
    this.#savedDigest = applied.digest;
    rows.committed();
    this.meter?.committed(this.meter.now_s() - began_s);
  }
}

/** A store's rows and position on their way into its file. */
export interface StoreSaving {
  /** See `Saving.synced`. */
  readonly synced?: Promise<void> | undefined;
  /** Writes all in one transaction, or throws and has written nothing; it may be called again then. */
  commit(): void;
  abandon(): void;
}
