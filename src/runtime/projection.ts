import type { HeldBytes } from "./store/copy/held-store.ts";
import type { StoreFiles } from "./store/store-files.ts";
import type { Batch, LogRecord } from "../log/port.ts";
import type { RecordBlock } from "../log/record-block.ts";
import type { Outcomes } from "../telemetry/meters.ts";

/**
 * One of the things that a partition's records are folded into. The runtime knows nothing else about a projection: it
 * opens the projection's store, hands it each record once and in order, and saves the rows of all the partition's
 * projections together with the offset.
 */
export interface Projection<View> {
  /** Identifies the store's file: a file that another projection or version wrote is not opened. See `storeKindOf`. */
  readonly name: string;
  readonly version: number;
  /** SQL that creates the tables, run once on a new file. No two projections of a list may use the same table name. */
  readonly schema: string;
  open(files: StoreFiles, partition: number): ProjectionStore<View>;
}

export interface ProjectionStore<View> extends Fold {
  /** Gives back what the store holds besides its files, which are closed after it. */
  close?(): void;
  /** The queries. They see every record that is kept, whether it is saved or not. */
  readonly view: View;
}

/**
 * Folds records in memory. The store is a checkpoint: rows that changed stay in memory until they are saved, and
 * queries see them there.
 *
 * ```
 *  folded ──keep()──▶ kept: queries see it ──save()──▶ being saved ──committed()──▶ saved
 *     └──reset()──▶ forgotten; its records are folded again    ▲          └─abandoned()─▶ kept
 * ```
 */
export interface Fold {
  /**
   * Reads ahead what the records of the batch from `nextOffset` on will touch, so that it is read in the store's order.
   * It changes nothing that `fold`, `save` or a query can see.
   */
  prepare?(batch: Batch, nextOffset: number): void;
  /**
   * Folds one record into the rows it touches, in memory. It is a pure function of the rows and the record: no clock,
   * randomness, configuration or await. Returns a reason if the projection cannot take the record, which is then a
   * dead letter.
   */
  fold(record: LogRecord): DeadLetterReason | undefined;
  /**
   * Folds the records of a block from `nextOffset` on from their bytes, as `fold` does one by one. The block can be
   * decoded. `onRefused` is called for each record that is a dead letter. Absent if records are folded one by one.
   */
  foldBlock?(block: RecordBlock, nextOffset: number, onRefused: OnRefused): void;
  /**
   * Takes what was folded since the last time: from now on queries see it, and `reset` does not forget it. Returns how
   * many of the records had each outcome, if the projection counts them.
   */
  keep(): Outcomes | undefined;
  /** Forgets the records folded since the last `keep`. They will be folded again. */
  reset(): void;
  /**
   * The first and the last of the records folded since the last `keep` that change what queries see, if the projection
   * reports them.
   */
  readonly news?: readonly LogRecord[] | undefined;
  /** How many rows are kept and not saved. */
  readonly unsaved: number;
  /** Begins to save everything that is kept. Called only when nothing folded waits to be kept, nor anything to be saved. */
  save(): Saving;
  /**
   * The digest of the rows that are kept, if the projection keeps one: equal for equal prefixes of the log, and cheap
   * to read.
   */
  readonly digest?: string | undefined;
  /**
   * Holds the bytes beside the database as they are saved now, so that they can be read while the fold goes on. Called
   * in the same turn in which the database is pinned, and by one reader at a time. Absent if there are none.
   */
  hold?(): HeldBytes;
  /**
   * A checksum of what the database has of the projection and everything else hangs on: totals, and where the rows are.
   * It is as of the last commit, and compared when the store is opened. Absent if there is nothing like that.
   */
  readonly checksum?: number | undefined;
}

export type OnRefused = (record: LogRecord, reason: DeadLetterReason) => void;

/** Rows on their way into the store. More records may be folded and kept meanwhile; they are not among them. */
export interface Saving {
  /**
   * Resolves once everything that lies beside the database is on disk, so that the transaction may refer to it. Absent
   * if nothing does. Rejects if the disk fails.
   */
  readonly synced?: Promise<void> | undefined;
  /**
   * Writes the rows. Called inside the transaction that moves the offset, and again in another one if that fails.
   */
  write(): void;
  /** What `Fold.checksum` is once this is committed. Called after `write`; absent if that is. */
  checksum?(): number;
  /** Notes that the transaction is committed. */
  committed(): void;
  /** Notes that this is given up: what was to be saved is still kept, and is saved the next time. */
  abandoned(): void;
}

/** Why a record is a dead letter: a stable code and a sentence. */
export interface DeadLetterReason {
  readonly code: string;
  readonly detail: string;
}
