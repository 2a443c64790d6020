import type { Clock } from "../../system/clock.ts";
import { isComparable, type OwnerCommit } from "./owner-commit.ts";

/** Where the log has lost records, one of the two members may have noticed it and halted, and the other not yet. */
export const DISAGREEMENT_MS_MIN = 30_000;

export type Verdict = "unknown" | "agrees" | "begins to differ" | "differs" | "differs for good";

/**
 * Tells whether a standby has other rows than the owner at the same offset, and whether that has lasted.
 *
 * ```
 *  agreeing ──another digest──▶ differing ──another digest, DISAGREEMENT_MS_MIN later──▶ differing for good
 *     ▲◀──────the same digest──────┘
 * ```
 */
export class Agreement {
  #differsSince_ms: number | undefined;

  constructor(private readonly clock: Clock) {}

  compare(owners: OwnerCommit, own: OwnerCommit): Verdict {
    if (!isComparable(owners, own)) return "unknown";
    const now_ms = this.clock.now_ms();
    const since_ms = this.#differsSince_ms;
    this.#differsSince_ms = owners.digest === own.digest ? undefined : (since_ms ?? now_ms);
    if (this.#differsSince_ms === undefined) return "agrees";
    if (since_ms === undefined) return "begins to differ";
    return now_ms - since_ms < DISAGREEMENT_MS_MIN ? "differs" : "differs for good";
  }
}
