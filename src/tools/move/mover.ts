import type { OffsetRange } from "../scan/scan.ts";

/**
 * Moves records from the source to the target: by Redpanda Connect on a broker, by this program on the embedded log.
 */
export interface Mover {
  /** Whether the mover keeps the order of the headers. */
  readonly headersInOrder: boolean;
  /** Resolves when nothing that an earlier run sent can still arrive, as far as the mover can ensure it. */
  settle(): Promise<void>;
  /**
   * Moves what matches in the ranges, each range in order. On any failure it rejects and leaves part of it moved;
   * another try may succeed after LOG_UNAVAILABLE, APPEND_OUTCOME_UNKNOWN, PRODUCER_FENCED and CONNECT_FAILED.
   */
  move(ranges: readonly OffsetRange[], progress: MoveProgress): Promise<void>;
  close(): Promise<void>;
}

export interface MoveProgress {
  /** Reports that so many more records are in the target. */
  moved(records: number): void;
  /** Looks up how many records have arrived, for a mover that is not told. */
  look(): Promise<number>;
}
