/**
 * What the parts below tell of their work, as plain calls, once per batch or request. Nothing they do depends on it, and without a
 * meter nothing is measured.
 */
interface Stopwatch {
  /** Seconds of a clock that is good for measuring and for nothing else. */
  now_s(): number;
}

/** How many records had which outcome. */
export type Outcomes = Readonly<Record<string, number>>;

export interface PartitionMeter extends Stopwatch {
  /** A transaction that moved the partition's offset. */
  committed(partition: number, outcomes: Outcomes | undefined, took_s: number): void;
  /** Its store stopped taking transactions; told once, until it works again. */
  storeFailed(partition: number): void;
}

export interface AppendMeter extends Stopwatch {
  /** One append has settled, acknowledged at least in part; `unknown` of its records are not known to be in the log or not. */
  appended(outcome: "acknowledged" | "failed", records: number, unknown: number, took_s: number): void;
  /** An event was refused for good, or not taken in time, with this code of the catalogue. */
  notTaken(code: string): void;
}

export interface RequestMeter extends Stopwatch {
  /** Asked for once per route. `path` is the route's pattern, so the number of series has a bound. */
  route(method: string, path: string): (status: number, took_s: number) => void;
}
