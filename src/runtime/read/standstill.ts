import type { PartitionEnds } from "../../log/port.ts";
import type { ActorState } from "../held-partitions.ts";

interface Held {
  readonly partition: number;
  readonly state: ActorState;
  readonly nextOffset: number;
  readonly hindered: string | undefined;
}

/**
 * A partition counts as standing still once this many looks in a row find it at the same offset with records to read.
 */
export const LOOKS_MAX = 6;

/**
 * Notices partitions that make no progress although the log has records for them, whatever the reason. It counts looks
 * instead of measuring time, so that a process that was itself paused does not take the pause for a standstill. It
 * leaves out halted and hindered partitions, which report that themselves, and records that another program's open
 * transaction hides (KIP-98).
 */
export class Standstill {
  readonly #seen = new Map<number, { readonly nextOffset: number; readonly looks: number }>();
  #reason: string | undefined;

  constructor(private readonly look_wait_ms: number) {}

  /** Which partitions stand still: a sentence; undefined while none does. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /**
   * Takes one look. Returns true when it is time to act: when a standstill is first noticed, and again after every
   * LOOKS_MAX further looks.
   */
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
