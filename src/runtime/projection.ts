import type { StoreDatabase } from "./store/store-database.ts";
import type { LogRecord } from "../log/port.ts";
import type { Outcomes } from "../telemetry/meters.ts";

/**
 * One of the things that a partition's records are folded into. The runtime knows nothing else about a projection: it
 * opens the projection's store, hands it each record once and in order, and commits the rows of all the partition's
 * projections together with the offset.
 */
export interface Projection<View> {
  /** Identifies the store's file: a file that another projection or version wrote is not opened. See `storeKindOf`. */
  readonly name: string;
  readonly version: number;
  /** SQL that creates the tables, run once on a new file. No two projections of a list may use the same table name. */
  readonly schema: string;
  open(db: StoreDatabase, partition: number): ProjectionStore<View>;
}

export interface ProjectionStore<View> extends Fold {
  /** The queries on the committed rows. */
  readonly view: View;
}

/** Folds records in memory, and keeps the touched rows there until they are flushed or thrown away. */
export interface Fold {
  /**
   * Folds one record into the rows it touches, in memory. It is a pure function of the rows and the record: no clock,
   * randomness, configuration or await. Returns a reason if the projection cannot take the record, which is then a
   * dead letter.
   */
  fold(record: LogRecord): DeadLetterReason | undefined;
  /**
   * Writes the touched rows. The actor calls it inside the transaction that moves the offset. Returns how many of the
   * folded records had each outcome, if the projection counts them.
   */
  flush(): Outcomes | undefined;
  /**
   * The first and the last of the records folded since the last flush that changed what queries see, if the projection
   * reports them.
   */
  readonly news?: readonly LogRecord[] | undefined;
  /** Forgets the touched rows that were not flushed; their records will be folded again. */
  reset(): void;
  /**
   * The digest of the committed rows, if the projection keeps one: equal for equal prefixes of the log, and cheap to
   * read.
   */
  readonly digest?: string | undefined;
}

/** Why a record is a dead letter: a stable code and a sentence. */
export interface DeadLetterReason {
  readonly code: string;
  readonly detail: string;
}
