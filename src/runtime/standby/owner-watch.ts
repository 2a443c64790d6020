import type { CommittedOffset } from "../../log/membership.ts";
import type { Clock } from "../../system/clock.ts";
import { type OwnerCommit, ownerCommit } from "./owner-commit.ts";

/** How often standbys ask what the owners have committed. A standby that waits for dead letters waits this much longer. */
export const COMMITTED_WAIT_MS = 500;

interface Standby {
  readonly partition: number;
  hearOwner(commit: OwnerCommit): void;
}

export interface OwnerWatchOptions {
  readonly standbys: () => readonly Standby[];
  /** What the group's members have committed. Rejects while the group cannot be asked. */
  readonly committed: (partitions: readonly number[]) => Promise<ReadonlyMap<number, CommittedOffset>>;
  readonly clock: Clock;
}

/**
 * Asks the group what the owners of the followed partitions have committed, for as long as there are any. A question that
 * fails is asked again with the next: standbys then wait, and the membership reports what is wrong with the group.
 *
 * ```
 *  made ──run()──▶ asking every COMMITTED_WAIT_MS ──`ending` aborts──▶ ended
 * ```
 */
export class OwnerWatch {
  constructor(private readonly options: OwnerWatchOptions) {}

  async run(ending: AbortSignal): Promise<void> {
    const { standbys, committed, clock } = this.options;
    for (;;) {
      await clock.sleep(COMMITTED_WAIT_MS, ending);
      if (ending.aborted) return;
      const asked = standbys();
      if (asked.length === 0) continue;
      const told = await committed(asked.map(({ partition }) => partition)).catch(() => undefined);
      for (const standby of asked) {
        const offset = told?.get(standby.partition);
        if (offset !== undefined) standby.hearOwner(ownerCommit(offset));
      }
    }
  }
}
