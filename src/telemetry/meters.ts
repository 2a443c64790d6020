/**
 * By these interfaces the lower layers report their work, in plain calls once per batch or request. Their work does
 * not depend on it, and without a meter nothing is measured.
 */
interface Stopwatch {
  /** A monotonic clock in seconds, for measuring durations only. */
  now_s(): number;
}

/** How many records had which outcome. */
export type Outcomes = Readonly<Record<string, number>>;

export interface PartitionMeter extends Stopwatch {
  /**
   * Reports a store that was opened, and how many records were applied before that it has not saved, and which are read
   * again. Undefined if the store is new: all are read from the log's start.
   */
  opened(partition: number, unsaved: number | undefined): void;
  /** Reports records that were applied: answers see them from now on. */
  applied(partition: number, outcomes: Outcomes): void;
  /** Reports a transaction that saved rows and moved a partition's saved offset. */
  committed(took_s: number): void;
  /** Reports that the partition's store stopped taking transactions, once for each outage. */
  storeFailed(partition: number): void;
  /** Reports that the partition's store could not be used, as a damaged one, and was set aside. */
  storeSetAside(partition: number): void;
}

export interface SnapshotMeter {
  /** Reports a snapshot that was taken and read back: the bytes in its storage, and how long that took. */
  snapshotTaken(bytes: number, took_s: number): void;
  /** Reports that a snapshot could not be taken, or that older ones could not be deleted. */
  snapshotFailed(): void;
  /**
   * Reports a snapshot that was found damaged, incomplete, or of a form that is not known, when it was read back
   * or was to be restored.
   */
  snapshotDamaged(): void;
}

export interface AppendMeter extends Stopwatch {
  /**
   * Reports a settled append: "acknowledged" if at least part of it was. Of `unknown` records it is not known whether
   * the log has them.
   */
  appended(outcome: "acknowledged" | "failed", records: number, unknown: number, took_s: number): void;
  /** Reports an event that was refused for good or not taken in time, by its code in the catalogue of errors. */
  notTaken(code: string): void;
}

/** Reports what became of requests to other members of the fleet. */
export interface HopMeter {
  /** `outcome` is "answered", or why there is no answer that counts. */
  hop(outcome: string): void;
  retried(): void;
}

export interface StaleMeter {
  /** Reports an answer to a client that tells an order with its age (decision 37). */
  toldStale(): void;
}

export interface RequestMeter extends Stopwatch {
  /**
   * The meter of one route, asked for once. `path` is the route's pattern, so that the number of series is bounded.
   */
  route(method: string, path: string): (status: number, took_s: number) => void;
}
