import type { Config } from "../config/config.ts";
import type { Log } from "../log/port.ts";
import type { ClaimState, StateOf } from "../runtime/store/state-dir.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import type { Logger } from "../telemetry/logger.ts";

/** What every service is given. The program passes the real parts; a test or the simulator passes substitutes. */
export interface ServiceOptions {
  readonly config: Config;
  readonly log: Log;
  readonly claimState: ClaimState;
  /** Without it nobody notices that the state was made from another log. */
  readonly stateOf?: StateOf;
  /** How many rows may be in memory only, if it is not as many as is best. */
  readonly unsaved_rows_max?: number | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}
