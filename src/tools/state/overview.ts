import { basename, dirname } from "node:path";
import { readView } from "../../runtime/store/read-views/reading-views.ts";
import type { SavedPosition } from "../../runtime/store/read-views/read-view.ts";
import { storeBytes } from "../../runtime/store/store-files.ts";
import { table } from "../terminal/table.ts";
import { type Figures, kindOf } from "./store-kinds.ts";
import type { Store } from "./stores.ts";

/** What is told of a store. */
export interface Overview extends Figures {
  readonly store: string;
  readonly holds: "orders" | "index";
  readonly topic: string;
  readonly logId: string;
  readonly partitions: readonly SavedPosition[];
  /** Of all its files. */
  readonly bytes: number;
  /** Undefined if there are no orders. */
  readonly bytesPerOrder?: number;
}

export const overviewOf = ({ path }: Pick<Store, "path">): Overview =>
  readView(path, (view) => {
    const shown = kindOf(view);
    const { topic, logId, positions } = view;
    const figures = shown.open(view.files).figures();
    const bytes = storeBytes(path);
    const perOrder = figures.orders === 0 ? {} : { bytesPerOrder: Math.round(bytes / figures.orders) };
    return { store: path, holds: shown.what, topic, logId, partitions: positions, ...figures, bytes, ...perOrder };
  });

/** The overviews as tables: one of the orders' or the indexes' partitions in each directory. */
export function overviewLines(overviews: readonly Overview[]): string[] {
  const tables = Map.groupBy(overviews, ({ holds, topic, logId, store }) =>
    JSON.stringify([holds, topic, logId, dirname(store)]),
  );
  return [...tables.values()].flatMap((same, n) => [...(n === 0 ? [] : [""]), ...linesOf(same)]);
}

function linesOf(same: readonly Overview[]): string[] {
  const [{ holds, topic, logId, store }] = same as [Overview];
  const heading = `The ${holds} of ${topic}, log ${logId}, in ${dirname(store)}`;
  const columns = holds === "index" ? INDEX_COLUMNS : ORDER_COLUMNS;
  return [
    heading,
    ...table(["partition", "next offset", ...columns, "store"], same.map(cells)),
    ...same.flatMap(({ partitions }) => beginnings(partitions)),
  ];
}

const ORDER_COLUMNS = ["orders", "held updates", "digest", "bytes", "bytes/order", "runs", "segments"];
/** An index counts an order twice while two of its runs have it. */
const INDEX_COLUMNS = ["orders at most", "idempotency keys", "bytes", "bytes/order", "runs", "segments"];

function cells(overview: Overview): (string | number)[] {
  const { holds, partitions, orders, held = 0, digest = "-", keyed = 0 } = overview;
  const { bytes, bytesPerOrder = "-", runs, segments, store } = overview;
  // A store in which nothing is saved yet does not say whose it is.
  const [saved] = partitions;
  const [partition, nextOffset] = [String(saved?.partition ?? "-"), saved?.nextOffset ?? 0];
  const counts = holds === "index" ? [orders, keyed] : [orders, held, digest];
  return [partition, nextOffset, ...counts, bytes, bytesPerOrder, runs, segments, basename(store)];
}

/** Sentences on the partitions whose rows lack the log's beginning. */
const beginnings = (partitions: readonly SavedPosition[]): string[] =>
  partitions
    .filter(({ firstOffset }) => firstOffset > 0)
    .map(({ partition, firstOffset }) => `Partition ${partition} was folded from offset ${firstOffset} on.`);
