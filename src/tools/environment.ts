import type { Clock } from "../system/clock.ts";
import type { BackoffLimits } from "../log/backoff.ts";
import type { Log } from "../log/port.ts";
import type { Random } from "../system/random.ts";

/** What every operation works with. */
export interface OperationEnvironment {
  readonly log: Log;
  /** The log's name in messages. */
  readonly log_name: string;
  /** The longest time in which no record more arrives while the log cannot be reached. */
  readonly outage_ms_max: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly backoff: BackoffLimits;
  /** The number of replicas of a topic that is created; undefined leaves it to the log. */
  readonly topic_replication: number | undefined;
  /** Aborts when the operator interrupts. */
  readonly signal: AbortSignal;
}
