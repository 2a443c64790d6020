import type { Clock } from "../../system/clock.ts";
import type { LogRecord } from "../../log/port.ts";
import type { PartitionMeter } from "../../telemetry/meters.ts";
import type { DeadLetterReason } from "../projection.ts";

export interface DeadLetter extends DeadLetterReason {
  readonly record: LogRecord;
}

/**
 * Appends the letters, each once, however often it is asked, for as long as it takes; rejects only when `signal`
 * aborts.
 */
export type DeliverDeadLetters = (
  partition: number,
  letters: readonly DeadLetter[],
  signal: AbortSignal,
  /** Told why, whenever a try fails. */
  onFailed: (e: unknown) => void,
) => Promise<void>;

/** What an actor is given: the time, and what it asks and tells around it. */
export interface ActorEnvironment {
  readonly clock: Clock;
  /** Of the file that holds the partition. */
  readonly storePath: () => string;
  /** Asked synchronously right before each transaction: whether this process may still act for the partition. */
  readonly isOwner: () => boolean;
  /** Absent where poison is only skipped. */
  readonly deliverDeadLetters?: DeliverDeadLetters;
  /** Whether a new store may begin behind the log's first records, which were removed. */
  readonly mayBeginLate?: boolean;
  /** Whether the log makes this process wait with reading, by a quota. */
  readonly isThrottled?: () => boolean;
  /** Told after each transaction of the first and the last record that a running actor has made readable. */
  readonly onReadable?: (records: readonly LogRecord[]) => void;
  /** Told when somebody begins to wait for a position. */
  readonly onAwaited?: () => void;
  /** Told when the actor has to `hear` where the log ends, and of which topic. */
  readonly onEndWanted?: () => void;
  /** Told once when the store turns out to be damaged. The actor applies nothing more and is to be replaced. */
  readonly onDamaged: (reason: string) => void;
  /** Counts what happens. Nothing depends on it. */
  readonly meter?: PartitionMeter | undefined;
  /** Something a person should read. */
  readonly onWarning: (partition: number, message: string, level?: "info" | "warn" | "error") => void;
}
