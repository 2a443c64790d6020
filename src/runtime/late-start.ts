import { type AppError, isAppError } from "../errors.ts";
import type { Membership } from "../log/membership.ts";
import type { Clock } from "../system/clock.ts";
import { Outage } from "./read/outage.ts";

/** What other processes may have of partitions whose first records the log has lost. */
export interface OtherHolders {
  /**
   * The URL of another member that has applied records of the partition from before `startOffset`; undefined if none has.
   * Rejects if one does not tell.
   */
  readonly earlierElsewhere?: (partition: number, startOffset: number) => Promise<string | undefined>;
  /** Whether some process had the partition before, which may come back. Rejects if the group cannot be asked. */
  readonly hadBefore?: (partition: number) => Promise<boolean>;
  /** How long whoever had the partition before is waited for. */
  readonly lateStartWait_ms?: number;
}

interface LateStartOptions extends OtherHolders {
  readonly clock: Clock;
  readonly onWarning: (partition: number, message: string) => void;
}

/** What is to become of a partition: it is begun without what is lost, or not yet (a sentence), or not here. */
export type Verdict = "begin" | { readonly wait: string } | { readonly elsewhere: string };

/** How many sessions whoever had a partition is waited for: members that are started together, or again, have joined by then. */
export const LATE_START_SESSIONS = 2;

/** Whether somebody in the group had the partition before; true while that is not known. */
export async function wasHeld(membership: Pick<Membership, "committed"> | undefined, partition: number): Promise<boolean> {
  if (membership === undefined) return true;
  return ((await membership.committed([partition])).get(partition)?.nextOffset ?? 0) > 0;
}

interface Asking {
  readonly since_ms: number;
  readonly silence: Outage;
}

const ASKING = "Other members are asked whether they have what the log has lost.";

/**
 * Decides whether a partition may be begun where the log begins now, although records before that are gone: only what
 * nobody else has any more is taken for lost.
 *
 * ```
 *  not asked ──verdict()──▶ asking ──somebody has it──▶ elsewhere
 *                             │  └── nobody has it, and whoever had it has not come in time ──▶ begin
 *                             └── forget() ──▶ not asked
 * ```
 */
export class LateStart {
  readonly #asking = new Map<number, Asking>();

  constructor(private readonly options: LateStartOptions) {}

  /** Whether there is anybody to be asked. */
  get asksOthers(): boolean {
    return this.options.earlierElsewhere !== undefined;
  }

  /** A wait ends at the latest when a silent member leaves the group, and `lateStartWait_ms` have passed. */
  async verdict(partition: number, startOffset: number): Promise<Verdict> {
    const { earlierElsewhere } = this.options;
    const { silence, since_ms } = this.#of(partition);
    let elsewhere: string | undefined | AppError;
    try {
      elsewhere = await earlierElsewhere?.(partition, startOffset);
    } catch (e) {
      if (!isAppError(e)) throw e;
      elsewhere = e;
    }
    if (isAppError(elsewhere)) {
      silence.failed(elsewhere);
      return { wait: `${ASKING} ${elsewhere.message}` };
    }
    silence.worked();
    if (elsewhere === undefined && (await this.#isAwaited(partition, since_ms)))
      return { wait: `${ASKING} Whoever had the partition before is waited for.` };
    return elsewhere === undefined ? "begin" : { elsewhere };
  }

  /** Notes that the partition is not held any more: a later wait is a new one. */
  forget(partition: number): void {
    this.#asking.delete(partition);
  }

  async #isAwaited(partition: number, since_ms: number): Promise<boolean> {
    const { clock, hadBefore, lateStartWait_ms = 0 } = this.options;
    if (clock.now_ms() - since_ms >= lateStartWait_ms) return false;
    return (await hadBefore?.(partition).catch(() => true)) !== false;
  }

  #of(partition: number): Asking {
    const { clock, onWarning } = this.options;
    const found = this.#asking.get(partition) ?? {
      since_ms: clock.now_ms(),
      silence: new Outage("Asking other members what they have of the partition", clock, (message) =>
        onWarning(partition, message),
      ),
    };
    this.#asking.set(partition, found);
    return found;
  }
}
