import type { Change } from "../../../orders/events/kinds.ts";
import { initialState } from "../../../orders/fold.ts";
import type { Order } from "../../../orders/order.ts";
import { CachedOrder, type CachedOrders } from "./cached-orders.ts";
import { nameOf, orderIdOf } from "../../../orders/order-key.ts";
import { byCodeUnit, type OrderRows } from "./order-rows.ts";
import type { StoredCreated } from "./stored-created.ts";

/** The order service's queries on one partition's rows. They are synchronous and throw STORE_FAILED. */
export interface OrdersView {
  /** The order; undefined while only updates of it are known. */
  order(orderId: string): Order | undefined;
  /**
   * At most `limit` ids greater than `after`, ascending by code unit, including those known only from a held update.
   */
  orderIdsAfter(after: string, limit: number): readonly string[];
  /** The whole rows of the same ids: everything that the digest covers. */
  rowsAfter(after: string, limit: number): readonly OrderRow[];
  /** Whether the order has a row, even if only updates of it are known. */
  hasRow(orderId: string): boolean;
  counts(): OrderCounts;
}

export interface OrderCounts {
  readonly orders: number;
  /** Updates that wait for their create. */
  readonly held: number;
}

export interface OrderRow {
  readonly orderId: string;
  readonly order: Order | undefined;
  /** The changes that wait for the create, in log order. */
  readonly held: readonly Change[];
  /** The ids of the events that counted, in no particular order. */
  readonly eventIds: readonly string[];
}

/** The order with what its create said, so that a query of damaged bytes fails here, where its caller expects that. */
function loaded(order: Order | undefined): Order | undefined {
  (order?.created as StoredCreated | undefined)?.load();
  return order;
}

/** The view of the orders in memory, over the saved rows. */
export function makeView(cached: CachedOrders, rows: OrderRows, counts: () => OrderCounts): OrdersView {
  const stateOf = (orderId: string) => {
    const name = nameOf(orderId);
    const inMemory = cached.get(name);
    if (inMemory) return inMemory.kept;
    const read = new CachedOrder(name);
    rows.read(read);
    return read.kept;
  };
  const orderIdsAfter = (after: string, limit: number): string[] => {
    const ids = new Set(rows.idsAfter(after, limit));
    const inMemory: string[] = [];
    for (const { name, kept, isStored } of cached.all()) {
      if (isStored || kept === initialState) continue;
      const orderId = orderIdOf(name);
      if (orderId > after) inMemory.push(orderId);
    }
    for (const orderId of inMemory.toSorted(byCodeUnit).slice(0, limit)) ids.add(orderId);
    return [...ids].toSorted(byCodeUnit).slice(0, limit);
  };
  return {
    order: (orderId) => loaded(stateOf(orderId).order),
    orderIdsAfter,
    rowsAfter: (after, limit) =>
      orderIdsAfter(after, limit).map((orderId) => {
        const { order, held, eventIds } = stateOf(orderId);
        const spilled = [...rows.spilledIds(orderId), ...(cached.get(nameOf(orderId))?.newlySpilled?.toArray() ?? [])];
        return { orderId, order: loaded(order), held, eventIds: [...spilled, ...eventIds.toArray()] };
      }),
    hasRow: (orderId) => stateOf(orderId) !== initialState,
    counts,
  };
}
