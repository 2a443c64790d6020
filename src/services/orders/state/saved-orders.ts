import type { Change } from "../../../orders/events/kinds.ts";
import { formatDigest } from "../../../orders/digest.ts";
import type { Order } from "../../../orders/order.ts";
import { nameOf, orderIdOf } from "../../../orders/order-key.ts";
import type { StoreFiles } from "../../../runtime/store/store-files.ts";
import { CachedOrder } from "./cached-orders.ts";
import { OrderRows } from "./order-rows.ts";
import type { OrderCounts, OrderRow } from "./orders-view.ts";
import type { StoredCreated } from "./stored-created.ts";

/** What is saved of a partition's orders, for whoever reads a store that is not its own. */
export class SavedOrders {
  readonly #rows: OrderRows;

  constructor(files: StoreFiles) {
    this.#rows = new OrderRows(files);
  }

  /** See `Fold.checksum`. */
  get checksum(): number {
    return this.#rows.checksum;
  }

  figures(): OrderCounts & { readonly digest: string; readonly runs: number; readonly segments: number } {
    const { digest, orders, held } = this.#rows.totals();
    return { orders, held, digest: formatDigest(digest), ...this.#rows.counts };
  }

  row(orderId: string): SavedRow | undefined {
    const order = new CachedOrder(nameOf(orderId));
    return this.#rows.read(order) ? new SavedRow(this.#rows, order) : undefined;
  }

  /** The rows whose ids are above this one, ascending by code unit. */
  *rowsAfter(after: string): Generator<SavedRow> {
    for (const order of this.#rows.rowsAfter(after)) yield new SavedRow(this.#rows, order);
  }
}

/** A saved row. What is in other places than its record is read when it is asked for. */
export class SavedRow implements OrderRow {
  readonly orderId: string;

  constructor(
    private readonly rows: OrderRows,
    private readonly saved: CachedOrder,
  ) {
    this.orderId = orderIdOf(saved.name);
  }

  get order(): Order | undefined {
    return this.saved.kept.order;
  }

  get held(): readonly Change[] {
    return this.saved.kept.held;
  }

  get eventIds(): readonly string[] {
    const { kept, keptSpilled } = this.saved;
    return [...(keptSpilled > 0 ? this.rows.spilledIds(this.orderId) : []), ...kept.eventIds.toArray()];
  }

  /** The offset, in the file of creates, of what the order's create said; undefined while that is not known. */
  get createAt(): number | undefined {
    return this.order && (this.order.created as StoredCreated).place;
  }
}
