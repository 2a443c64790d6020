import type { PartitionActor } from "../../src/runtime/actor/actor.ts";
import { Violation } from "../reference/violation.ts";
import type { Running, World } from "./world.ts";

/**
 * Watches what order services apply, and when. Nothing is applied to a partition that the group took from its process;
 * what was applied before may still be saved, as it is a prefix of the log in a store of the process's own. And while
 * its store fails, a partition finishes what it had begun to apply and begins nothing else.
 */
export class Applications {
  violation: Violation | undefined;
  readonly #seen = new WeakMap<PartitionActor, { nextOffset: number; whileFailing: number }>();

  constructor(private readonly world: World) {}

  /** Must be called after each event of the process. */
  look({ orders, log, owner }: Running): void {
    if (orders === undefined) return;
    const { partitions } = orders;
    for (let partition = this.world.partitionCount - 1; partition >= 0; partition--) {
      const actor = partitions.get(partition);
      if (actor?.hasStore !== true) continue;
      const { nextOffset } = actor;
      const seen = this.#seen.get(actor) ?? { nextOffset, whileFailing: 0 };
      this.#seen.set(actor, seen);
      if (actor.state !== "suspended") seen.whileFailing = 0;
      if (seen.nextOffset === nextOffset) continue;
      const what = `${owner.name} applies ${seen.nextOffset} to ${nextOffset} of partition ${partition}`;
      if (!log.isOwnerByGroup(partition)) this.#note("no-zombie-applies", `${what}, which the group took from it`);
      if (actor.state === "suspended" && ++seen.whileFailing > 1) this.#note("bounded-memory", `${what}, whose store fails`);
      seen.nextOffset = nextOffset;
    }
  }

  #note(invariant: string, detail: string): void {
    this.violation ??= new Violation(invariant, detail);
  }
}
