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
  /** Reports records that were applied: answers see them from now on. */
  applied(partition: number, outcomes: Outcomes): void;
  /** Reports a transaction that saved rows and moved a partition's saved offset. */
  committed(took_s: number): void;
  /** Reports that the partition's store stopped taking transactions, once for each outage. */
  storeFailed(partition: number): void;
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

export interface RequestMeter extends Stopwatch {
  /**
   * The meter of one route, asked for once. `path` is the route's pattern, so that the number of series is bounded.
   */
  route(method: string, path: string): (status: number, took_s: number) => void;
}
