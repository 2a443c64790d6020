import { type Clock, within } from "../system/clock.ts";
import type { PartitionActor } from "./actor/actor.ts";
import type { Saver } from "./actor/saver.ts";

/** How often to look for partitions that are due to be saved. */
export const LOOK_WAIT_MS = 100;
/**
 * How many rows of all partitions together may be in memory only. More of them make larger savings, which cost less for
 * each row, and take about 300 bytes each.
 */
const UNSAVED_ROWS_MAX = 49_152;

export interface CheckpointsOptions {
  readonly actors: ReadonlyMap<number, PartitionActor>;
  readonly clock: Clock;
  readonly unsaved_rows_max?: number;
}

/**
 * Decides when each partition is saved: some time after it applied something, one partition after the other unless one
 * takes long, and earlier where the rows that are only in memory would become too many.
 *
 * ```
 *  made ──run()──▶ looking every LOOK_WAIT_MS ──`ending` aborts──▶ ended
 * ```
 */
export class Checkpoints {
  constructor(private readonly options: CheckpointsOptions) {}

  async run(ending: AbortSignal): Promise<void> {
    const { actors, clock } = this.options;
    for (;;) {
      await clock.sleep(LOOK_WAIT_MS, ending);
      if (ending.aborted) return;
      for (const { saver } of actors.values()) {
        if (saver?.isDue(clock.now_ms()) !== true) continue;
        saver.save();
        // Each takes a millisecond or two of the process; all at once would keep queries and new records waiting.
        if (saver.running) await within(clock, LOOK_WAIT_MS, saver.running);
      }
    }
  }

  /**
   * Has the partition saved that has most in memory, if all together have too much, which takes a turn. Waits for it if it
   * is being saved.
   */
  makeRoom(): Promise<void> | undefined {
    const { actors, unsaved_rows_max = UNSAVED_ROWS_MAX } = this.options;
    let rows = 0;
    let most: Saver | undefined;
    for (const { state, saver } of actors.values()) {
      // A partition whose store fails applies nothing more until it works. The others do not wait for it.
      if (state === "suspended" || saver === undefined) continue;
      rows += saver.unsaved;
      if (saver.unsaved > (most?.unsaved ?? 0)) most = saver;
    }
    // I10: what is only in memory is bounded.
    if (rows < unsaved_rows_max || most === undefined) return undefined;
    if (most.running !== undefined) return most.running;
    most.save();
    return this.options.clock.yield();
  }
}
