import { initialState } from "../../../orders/fold.ts";
import type { CachedOrder } from "./cached-orders.ts";
import { SpilledIds } from "./spilled-ids.ts";

/** Moves the ids of the order's events out of its state. */
export function spillEventIds(order: CachedOrder): void {
  const eventIds = order.state.eventIds.toArray();
  (order.newlySpilled ??= new SpilledIds()).add(eventIds);
  order.spilled += eventIds.length;
  order.state = { ...order.state, eventIds: initialState.eventIds };
}
