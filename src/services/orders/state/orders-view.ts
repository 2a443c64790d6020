import type { Change } from "../../../orders/events/kinds.ts";
import type { Order } from "../../../orders/order.ts";

/** What the order service asks of one partition's committed rows. Synchronous; throws STORE_FAILED. */
export interface OrdersView {
  /** Undefined while only updates of it are known. */
  order(orderId: string): Order | undefined;
  /** Ids greater than `after`, ascending by code unit, at most `limit`; also those known only from a held update. */
  orderIdsAfter(after: string, limit: number): readonly string[];
  /** The same as whole rows: all that the digest is of. */
  rowsAfter(after: string, limit: number): readonly OrderRow[];
  /** Whether there is a row of it, also where only updates are known. */
  hasRow(orderId: string): boolean;
  /** Counted once when first asked for, and kept from then on. */
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
  /** Of the events that counted; in no order. */
  readonly eventIds: readonly string[];
}
