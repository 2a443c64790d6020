import type { OffsetRange } from "../scan/scan.ts";

/** Moves records from the source to the target: Redpanda Connect on a broker, this program itself on the embedded log. */
export interface Mover {
  /** Whether headers keep their order on the way. */
  readonly headersInOrder: boolean;
  /** Once this resolves, nothing that an earlier run of the same operation had sent arrives any more, as far as that can be had. */
  settle(): Promise<void>;
  /**
   * Moves what matches in the ranges, each range in order. Rejects on any failure, with part of it moved: LOG_UNAVAILABLE,
   * APPEND_OUTCOME_UNKNOWN, PRODUCER_FENCED and CONNECT_FAILED may be mended by another try.
   */
  move(ranges: readonly OffsetRange[], progress: MoveProgress): Promise<void>;
  close(): Promise<void>;
}

export interface MoveProgress {
  /** So many more are in the target. */
  moved(records: number): void;
  /** For a mover that is not told what has arrived: looks it up. */
  look(): Promise<number>;
}
