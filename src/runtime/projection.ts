import type { StoreDatabase } from "./store/store-database.ts";
import type { LogRecord } from "../log/port.ts";
import type { Outcomes } from "../telemetry/meters.ts";

/**
 * One of the things that a partition's records are folded into. The actor runtime knows no more of it than this: it
 * opens the store, gives it each record once and in order, and commits what it and the store's other projections
 * folded together with the offset.
 */
export interface Projection<View> {
  /**
   * Names the store's file and guards it: a file written by another projection or version is not opened. See `kindOf`.
   */
  readonly name: string;
  readonly version: number;
  /** SQL that makes the tables; run once on a new file. No two projections of a list have a table of one name. */
  readonly schema: string;
  open(db: StoreDatabase, partition: number): ProjectionStore<View>;
}

export interface ProjectionStore<View> extends Fold {
  /** Queries against the committed rows. */
  readonly view: View;
}

/** What is folded in memory until it is flushed or thrown away. */
export interface Fold {
  /**
   * Folds one record into the rows it touches, in memory. A pure function of the rows and the record: no clock,
   * randomness, configuration or await. Says when the record is none the projection can take; it is then a dead
   * letter.
   */
  fold(record: LogRecord): DeadLetterReason | undefined;
  /**
   * Writes the touched rows. The actor calls it inside the transaction that moves the offset. Gives how many of the
   * folded records had which outcome, where the projection counts them.
   */
  flush(): Outcomes | undefined;
  /**
   * Of the records folded since the last flush, the first and the last that changed what queries see, where the
   * projection tells.
   */
  readonly news?: readonly LogRecord[] | undefined;
  /** Forgets the touched rows that were not flushed: the transaction failed and the records will be folded again. */
  reset(): void;
  /** Of the committed rows, where the projection keeps one: equal for equal prefixes of the log. Cheap to ask for. */
  readonly digest?: string | undefined;
}

/** Why a record is a dead letter: a stable code and a sentence. */
export interface DeadLetterReason {
  readonly code: string;
  readonly detail: string;
}
