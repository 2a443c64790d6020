import type { PartitionEnds } from "../../log/port.ts";
import type { ActorState } from "../held-partitions.ts";

interface Held {
  readonly partition: number;
  readonly state: ActorState;
  readonly nextOffset: number;
  readonly hindered: string | undefined;
}

/**
 * Looks in a row that show a partition at the same offset, with records to read, before it counts as standing still.
 */
export const LOOKS_MAX = 6;

/**
 * Notices partitions that make no progress although the log has records for them, whatever the reason. It counts looks
 * and not time, so that a process which itself stood still meanwhile does not take that for a standstill. A partition
 * that is halted or hindered is not looked at, as it says so itself, and what another program's open transaction hides
 * is not there to be read (KIP-98).
 */
export class Standstill {
  readonly #seen = new Map<number, { readonly nextOffset: number; readonly looks: number }>();
  #reason: string | undefined;

  constructor(private readonly look_wait_ms: number) {}

  /** A sentence; undefined while all go on. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Takes one look. True when it is time to do something: at first, and again after as many looks more. */
  look(held: Iterable<Held>, ends: readonly PartitionEnds[]): boolean {
    const standing: string[] = [];
    let isDue = false;
    const goesOn = ({ state, hindered }: Held) => (state === "catching-up" || state === "running") && hindered === undefined;
    const seen = [...held].filter(goesOn);
    for (const partition of this.#seen.keys()) if (!seen.some((one) => one.partition === partition)) this.#seen.delete(partition);
    for (const { partition, nextOffset } of seen) {
      const told = ends[partition];
      const endOffset = told && "stableOffset" in told ? told.stableOffset : 0;
      const before = this.#seen.get(partition);
      const looks = endOffset > nextOffset && before?.nextOffset === nextOffset ? before.looks + 1 : 0;
      this.#seen.set(partition, { nextOffset, looks });
      if (looks < LOOKS_MAX) continue;
      isDue ||= looks % LOOKS_MAX === 0;
      standing.push(`partition ${partition} at offset ${nextOffset} of ${endOffset}`);
    }
    const lasted_s = (LOOKS_MAX * this.look_wait_ms) / 1_000;
    this.#reason =
      standing.length === 0
        ? undefined
        : `For ${lasted_s} s or longer nothing was applied: ${standing.join(", ")}. The connections are made anew.`;
    return isDue;
  }
}
