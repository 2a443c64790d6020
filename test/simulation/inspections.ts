import type { OrderService } from "../../src/services/orders/service.ts";
import { orderProjection } from "../../src/services/orders/state/order-projection.ts";
import { asViolation, compareRows, type Violation } from "../reference/violation.ts";
import { Prefixes, rowsOf } from "./prefixes.ts";
import type { World } from "./world.ts";

/**
 * Looks, while a run goes on, at what the order services would answer from: at any moment that is what the log gives up
 * to the position that they report, whether it is saved or only in memory, and nothing of what comes after it.
 */
export class Inspections {
  violation: Violation | undefined;
  readonly #prefixes: Prefixes;

  constructor(private readonly world: World) {
    this.#prefixes = new Prefixes(world);
  }

  /** `share` picks one of the partitions that are held. */
  inspect(share: number): void {
    const { losses } = this.world;
    const held = this.world.running("order-service").flatMap(({ orders, owner }) => {
      const service = orders as OrderService;
      return [...service.partitions.held()].map((actor) => ({ actor, owner }));
    });
    const { actor, owner } = held[Math.floor(share * held.length)] ?? {};
    const view = actor?.view(orderProjection);
    if (actor === undefined || view === undefined) return;
    const { partition, nextOffset } = actor;
    // It may have applied what the log has lost since.
    if (nextOffset > losses.firstLostOffset(partition)) return;
    const where = `partition ${partition} at ${owner?.name}, ${actor.state} at ${nextOffset},`;
    const { rows, ...counts } = this.#prefixes.expected(partition, nextOffset);
    try {
      compareRows("answers-are-prefixes", where, rowsOf(view), rows);
      compareRows("answers-are-prefixes", where, [JSON.stringify(view.counts())], [JSON.stringify(counts)]);
    } catch (e) {
      this.violation ??= asViolation(e);
    }
  }
}
