import type { Clock } from "../../system/clock.ts";
import type { LogRecord } from "../../log/port.ts";
import type { PartitionMeter } from "../../telemetry/meters.ts";
import type { DeadLetterReason } from "../projection.ts";

export interface DeadLetter extends DeadLetterReason {
  readonly record: LogRecord;
}

/**
 * Appends each letter once, however often it is asked to, and tries for as long as it takes. Rejects only if `signal`
 * aborts or the partition has another owner.
 */
export type DeliverDeadLetters = (
  partition: number,
  letters: readonly DeadLetter[],
  signal: AbortSignal,
  /** Called with the cause whenever a try fails. */
  onFailed: (e: unknown) => void,
) => Promise<void>;

/** What an actor gets from the process around it: the time, what it may ask, and the callbacks it calls. */
export interface ActorEnvironment {
  readonly clock: Clock;
  /** The path of the file that holds the partition. */
  readonly storePath: () => string;
  /** Whether this process may still act for the partition. Called synchronously, right before each transaction. */
  readonly isOwner: () => boolean;
  /** Absent if poison is only skipped. */
  readonly deliverDeadLetters?: DeliverDeadLetters;
  /** Whether a new store may begin late, if the log's first records were removed. */
  readonly mayBeginLate?: boolean;
  /** Whether a quota of the log makes this process wait before it reads on. */
  readonly isThrottled?: () => boolean;
  /** Called after each transaction of a running actor, with the first and the last record that it made readable. */
  readonly onReadable?: (records: readonly LogRecord[]) => void;
  /** Called when somebody begins to wait for a position. */
  readonly onAwaited?: () => void;
  /** Called when the actor has to `hear` the log's ends and the topic's id. */
  readonly onEndWanted?: () => void;
  /** Called once if the store turns out to be damaged. The actor applies nothing more and must be replaced. */
  readonly onDamaged: (reason: string) => void;
  /** Counts what happens. Nothing depends on it. */
  readonly meter?: PartitionMeter | undefined;
  /** Called with a message that a person should read. */
  readonly onWarning: (partition: number, message: string, level?: "info" | "warn" | "error") => void;
}
