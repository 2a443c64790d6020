import type { Config } from "../config/config.ts";
import type { Log } from "../log/port.ts";
import type { RuntimeBounds } from "../runtime/partition-set.ts";
import type { Compression } from "../runtime/snapshots/compression.ts";
import type { ClaimState, StateOf } from "../runtime/store/state-dir.ts";
import type { ObjectStorage } from "../storage/object-storage.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import type { Logger } from "../telemetry/logger.ts";

export interface SnapshotStorage {
  readonly storage: ObjectStorage;
  readonly compression: Compression;
}

/** What every service is given. The program passes the real parts; a test or the simulator passes substitutes. */
export interface ServiceOptions {
  readonly config: Config;
  readonly log: Log;
  readonly claimState: ClaimState;
  /** Without it nobody notices that the state was made from another log. */
  readonly stateOf?: StateOf;
  /** Without it, what is best. */
  readonly bounds?: RuntimeBounds | undefined;
  /** Where snapshots of the stores are kept; absent: none are taken. */
  readonly snapshots?: SnapshotStorage | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}
