import type { Clock } from "../clock.ts";
import type { LogRecord } from "../log/log.ts";
import type { PartitionMeter } from "../telemetry/meters.ts";
import type { DeadLetterReason } from "./projection.ts";

export interface DeadLetter extends DeadLetterReason {
  readonly record: LogRecord;
}

/** What an actor is given: the time, and what it asks and tells around it. */
export interface ActorEnvironment {
  readonly clock: Clock;
  /** Asked synchronously right before each transaction: whether this process may still act for the partition. */
  readonly isOwner: () => boolean;
  /** Appends the dead letters, each once, however often it is asked; rejects when `signal` aborts. Absent where poison is only skipped. */
  readonly deliverDeadLetters?: (partition: number, letters: readonly DeadLetter[], signal: AbortSignal) => Promise<void>;
  /** Told what a running actor has made readable, after each transaction. */
  readonly readable?: (records: readonly LogRecord[]) => void;
  /** Told when somebody begins to wait for a position. */
  readonly awaited?: () => void;
  /** Told when the store takes transactions again: how far the log has grown meanwhile is not known. */
  readonly resumed?: () => void;
  /** Told once when the store turns out to be damaged. The actor applies nothing more and is to be replaced. */
  readonly damaged: (reason: string) => void;
  /** Counts what happens. Nothing depends on it. */
  readonly meter?: PartitionMeter | undefined;
  /** Something a person should read. */
  readonly warn: (partition: number, message: string) => void;
}
