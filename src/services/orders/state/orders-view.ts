import type { Change } from "../../../orders/events/kinds.ts";
import type { Order } from "../../../orders/order.ts";

/** The order service's queries on one partition's committed rows. They are synchronous and throw STORE_FAILED. */
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
  /** Counted when first asked for, and kept up to date from then on. */
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
