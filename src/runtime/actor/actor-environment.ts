import type { AppError } from "../../errors.ts";
import type { Clock } from "../../system/clock.ts";
import type { LogRecord } from "../../log/port.ts";
import type { PartitionMeter } from "../../telemetry/meters.ts";
import type { ShownSnapshot } from "../snapshots/snapshot-schedule.ts";
import type { DeadLetterReason } from "../projection.ts";
import type { OwnerCommit } from "../standby/owner-commit.ts";

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
  /** What the store holds, as an owner tells it to those who follow. */
  readonly storeKind?: string | undefined;
  /** Whether this process may still act for what it owns. Called synchronously, right before each transaction. */
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
  /** Called when the rows of a standby are not those that the owner has at the same offset. */
  readonly onDisagreement?: (commit: OwnerCommit) => void;
  /** Called when the partition halts, with why: a sentence. It must not throw. */
  readonly onHalted?: (partition: number, why: string) => void;
  /** Called once if the store turns out to be damaged. The actor applies nothing more and must be replaced. */
  readonly onDamaged: (reason: string) => void;
  /**
   * Called if the log no longer has the records after the store's position, with what to halt for otherwise. The actor
   * must be replaced. Absent if nothing can take its store's place.
   */
  readonly onOutrun?: ((error: AppError) => void) | undefined;
  /** The newest snapshot of its store, or that none is known; absent or undefined if none are taken. */
  readonly newestSnapshot?: () => ShownSnapshot | undefined;
  /** Counts what happens. Nothing depends on it. */
  readonly meter?: PartitionMeter | undefined;
  /** Called with a message that a person should read. */
  readonly onWarning: (partition: number, message: string, level?: "info" | "warn" | "error") => void;
}
