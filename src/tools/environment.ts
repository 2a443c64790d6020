import type { Clock } from "../system/clock.ts";
import type { BackoffLimits } from "../log/backoff.ts";
import type { Log } from "../log/port.ts";
import type { Random } from "../system/random.ts";

/** What every operation works with. */
export interface OperationEnvironment {
  readonly log: Log;
  /** For people. */
  readonly log_name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly backoff: BackoffLimits;
  /** Replicas of a topic that is made; undefined: as many as the log gives by itself. */
  readonly topic_replication: number | undefined;
  /** Aborts when the operator interrupts. */
  readonly signal: AbortSignal;
}
