import type { PartitionActor } from "../../src/runtime/actor/actor.ts";
import { findOrder } from "../../src/services/orders/query/queries.ts";
import type { OrderService } from "../../src/services/orders/service.ts";
import { orderProjection } from "../../src/services/orders/state/order-projection.ts";
import { Violation } from "../reference/violation.ts";
import type { Running, World } from "./world.ts";

interface Seen {
  nextOffset: number;
  whileFailing: number;
  /** Whether the actor has answered from its rows. */
  hasAnswered: boolean;
}

/**
 * Watches what order services apply, and when. Nothing is applied to a partition that the group took from its process;
 * what was applied before may still be saved, as it is a prefix of the log in a store of the process's own. And while
 * its store fails, a partition finishes what it had begun to apply and begins nothing else. What an instance has once
 * answered from is not taken back, by a restart either, unless the log has lost it.
 */
export class Applications {
  violation: Violation | undefined;
  readonly #seen = new WeakMap<PartitionActor, Seen>();
  /** By instance and partition, up to where rows were answered. */
  readonly #answered = new Map<string, number>();

  constructor(private readonly world: World) {}

  /** Must be called after each event of the process. */
  look({ orders, log, owner }: Running): void {
    if (orders === undefined) return;
    const { partitions } = orders;
    for (let partition = this.world.partitionCount - 1; partition >= 0; partition--) {
      const actor = partitions.get(partition);
      if (actor?.hasStore !== true) continue;
      const { nextOffset } = actor;
      const seen = this.#seen.get(actor) ?? { nextOffset, whileFailing: 0, hasAnswered: false };
      this.#seen.set(actor, seen);
      this.#lookAtAnswers(`${owner.name}'s partition ${partition}`, orders, actor, seen);
      if (actor.state !== "suspended") seen.whileFailing = 0;
      if (seen.nextOffset === nextOffset) continue;
      const what = `${owner.name} applies ${seen.nextOffset} to ${nextOffset} of partition ${partition}`;
      if (!log.isOwnerByGroup(partition)) this.#note("no-zombie-applies", `${what}, which the group took from it`);
      if (actor.state === "suspended" && ++seen.whileFailing > 1) this.#note("bounded-memory", `${what}, whose store fails`);
      seen.nextOffset = nextOffset;
    }
  }

  forgetAnswers(instance: string): void {
    for (const place of this.#answered.keys()) if (place.startsWith(`${instance}'s `)) this.#answered.delete(place);
  }

  #lookAtAnswers(place: string, orders: OrderService, actor: PartitionActor, seen: Seen): void {
    seen.hasAnswered ||= isAnswered(orders, actor);
    if (!seen.hasAnswered) return;
    const before = this.#answered.get(place) ?? 0;
    const isLost = this.world.losses.firstLostOffset(actor.partition) < before;
    if (actor.nextOffset < before && !isLost)
      this.#note("answers-go-on", `${place} answers from ${actor.nextOffset}, and had answered from ${before}`);
    this.#answered.set(place, actor.nextOffset);
  }

  #note(invariant: string, detail: string): void {
    this.violation ??= new Violation(invariant, detail);
  }
}

/** Whether an order of the partition is answered now. */
function isAnswered({ partitions }: OrderService, actor: PartitionActor): boolean {
  try {
    const view = actor.view(orderProjection);
    const orderId = view?.orderIdsAfter("", FIRST_ORDERS).find((id) => view.order(id) !== undefined);
    if (orderId === undefined) return false;
    findOrder(partitions, () => actor.partition, orderId);
    return true;
  } catch {
    return false;
  }
}

/** Among these, one has been created in nearly every run. */
const FIRST_ORDERS = 3;
