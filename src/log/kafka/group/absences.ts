import type { Clock } from "../../../system/clock.ts";
import type { Assignment } from "../../membership.ts";
import { idOf } from "./dealing.ts";
import { decodeMetadata } from "./group-protocol.ts";
import type { JoinedGroup } from "./group-requests.ts";

/** `silent`: it did not join again this time. `gone`: nor did it for a whole session before. */
export type Absence = "silent" | "gone";

/**
 * Members with an instance id that are away. The coordinator keeps them in the group until their session ends, and begins
 * that anew with each rebalance (KIP-345), so while others join one after the other, a member that was killed would keep
 * its partitions. What the coordinator tells the leader of such a member is what that told when it joined last: of an
 * earlier generation than the one before.
 *
 * ```
 *  here ──note(), it tells of an earlier generation──▶ silent ──the same, a session later──▶ gone
 *   ▲                                                    │                                    │
 *   └──note(), it has joined again, or is no member──────┴────────────────────────────────────┘
 * ```
 */
export class Absences {
  readonly #since_ms = new Map<string, number>();

  constructor(
    private readonly session_timeout_ms: number,
    private readonly clock: Clock,
  ) {}

  /**
   * Takes who is in the group, as the coordinator tells the leader, and what that knows from before: the generation that
   * it was in, −1 for none, and what was dealt out. Returns those who are away, by id.
   */
  note({ members }: JoinedGroup, before: number, last: Assignment | undefined): ReadonlyMap<string, Absence> {
    const now_ms = this.clock.now_ms();
    const absent = new Map<string, Absence>();
    const known = new Set(last?.members.map(({ id }) => id));
    const ids = new Set(members.map(idOf));
    for (const id of this.#since_ms.keys()) if (!ids.has(id)) this.#since_ms.delete(id);
    for (const member of members) {
      const id = idOf(member);
      const { generation } = decodeMetadata(member.memberMetadata);
      // A leader that is new knows nothing of the generation before, and of a new member there is nothing to know.
      if (before < 0 || !known.has(id) || generation === undefined || generation >= before) {
        this.#since_ms.delete(id);
        continue;
      }
      const since_ms = this.#since_ms.get(id) ?? now_ms;
      this.#since_ms.set(id, since_ms);
      absent.set(id, now_ms - since_ms >= this.session_timeout_ms ? "gone" : "silent");
    }
    return absent;
  }
}
