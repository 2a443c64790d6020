import { AppError } from "../../errors.ts";
import type { Order } from "../../orders/order.ts";
import { requireChecksum } from "../../runtime/store/position/position-table.ts";
import type { StoreFiles } from "../../runtime/store/store-files.ts";
import type { StoreKind } from "../../runtime/projections.ts";
import type { ReadView } from "../../runtime/store/read-views/read-view.ts";
import { INDEX_KIND, IndexRows } from "../../services/cart/index/index-rows.ts";
import { orderProjection } from "../../services/orders/state/order-projection.ts";
import { rowMembers } from "../../services/orders/state/order-row-json.ts";
import { SavedOrders } from "../../services/orders/state/saved-orders.ts";

/** A row as it is shown. */
export interface ShownRow {
  readonly orderId: string;
  /** The order, if the row is one of an order; undefined while only updates of it are known. */
  readonly order?: Order | undefined;
  /** The members of its JSON object, without the braces. */
  members(): string;
}

/** The figures that every store has, whatever its rows are. */
export interface Figures {
  /** Of an index, the number of its entries, of which a few may count twice until they are merged. */
  readonly orders: number;
  /** Updates that wait for their create. */
  readonly held?: number;
  readonly digest?: string;
  /** Events that were appended for an idempotency key. */
  readonly keyed?: number;
  readonly runs: number;
  readonly segments: number;
}

/** The rows of a read view. */
export interface SavedRows {
  figures(): Figures;
  row(orderId: string): ShownRow | undefined;
  /** The rows whose ids are above this one, ascending by code unit. */
  rowsAfter(after: string): Iterable<ShownRow>;
}

/** A kind of rows that can be shown. */
export interface ShownKind {
  readonly what: "orders" | "index";
  readonly kind: StoreKind;
  /** Throws an error of damage if what the store says of itself is not as it was saved. */
  open(files: StoreFiles): SavedRows;
}

const ordersKind: ShownKind = {
  what: "orders",
  kind: orderProjection,
  open: (files) => {
    const saved = new SavedOrders(files);
    requireChecksum(files.db, saved.checksum);
    const shown = (row: NonNullable<ReturnType<typeof saved.row>>): ShownRow => ({
      orderId: row.orderId,
      order: row.order,
      members: () => `${rowMembers(row)},"createAt":${row.createAt ?? "null"}`,
    });
    return {
      figures: () => saved.figures(),
      row: (orderId) => {
        const row = saved.row(orderId);
        return row && shown(row);
      },
      *rowsAfter(after) {
        for (const row of saved.rowsAfter(after)) yield shown(row);
      },
    };
  },
};

const indexKind: ShownKind = {
  what: "index",
  kind: INDEX_KIND,
  open: (files) => {
    const rows = new IndexRows(files);
    requireChecksum(files.db, rows.checksum);
    const shown = (orderId: string, entry: NonNullable<ReturnType<typeof rows.find>>): ShownRow => ({
      orderId,
      members: () =>
        `"orderId":${JSON.stringify(orderId)},"created":{"partition":${entry.partition},"offset":${entry.offset}` +
        `,"eventId":${JSON.stringify(entry.eventId)}}`,
    });
    return {
      figures: () => rows.counts(),
      row: (orderId) => {
        const entry = rows.find(orderId);
        return entry && shown(orderId, entry);
      },
      *rowsAfter(after) {
        for (const [orderId, entry] of rows.entriesAfter(after)) yield shown(orderId, entry);
      },
    };
  },
};

const KINDS = [ordersKind, indexKind];

/** The kind of the store's rows. Throws STORE_FAILED if this program does not know it, or not in that version. */
export function kindOf({ path, projections }: Pick<ReadView, "path" | "projections">): ShownKind {
  const found = KINDS.find(({ kind }) => projections.some(({ name, version }) => name === kind.name && version === kind.version));
  if (found) return found;
  const held = projections.map(({ name, version }) => `${name} in version ${version}`).join(" and ");
  const known = KINDS.map(({ kind }) => `${kind.name} in version ${kind.version}`).join(" and ");
  throw new AppError("STORE_FAILED", `${path} holds ${held}; this program shows ${known}.`, { path });
}
