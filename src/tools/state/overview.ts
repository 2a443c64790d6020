import { basename, dirname } from "node:path";
import { readSnapshot } from "../../runtime/store/snapshots/read-snapshots.ts";
import type { SavedPosition } from "../../runtime/store/snapshots/snapshot.ts";
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
  readSnapshot(path, (snapshot) => {
    const shown = kindOf(snapshot);
    const { topic, logId, positions } = snapshot;
    const figures = shown.open(snapshot.files).figures();
    const bytes = storeBytes(path);
    const perOrder = figures.orders === 0 ? {} : { bytesPerOrder: Math.round(bytes / figures.orders) };
    return { store: path, holds: shown.what, topic, logId, partitions: positions, ...figures, bytes, ...perOrder };
  });

/** The overviews as tables: one of the orders' partitions in each directory, and two of each index. */
export function overviewLines(overviews: readonly Overview[]): string[] {
  const tables = Map.groupBy(overviews, ({ holds, topic, logId, store }) =>
    JSON.stringify([holds, topic, logId, holds === "index" ? store : dirname(store)]),
  );
  return [...tables.values()].flatMap((same, n) => [...(n === 0 ? [] : [""]), ...linesOf(same)]);
}

function linesOf(same: readonly Overview[]): string[] {
  const [{ holds, topic, logId, store }] = same as [Overview];
  const heading = `The ${holds} of ${topic}, log ${logId}, in ${holds === "index" ? store : dirname(store)}`;
  const tables = holds === "index" ? same.flatMap(indexTables) : table(ORDER_COLUMNS, same.map(orderCells));
  return [heading, ...tables, ...same.flatMap(({ partitions }) => beginnings(partitions))];
}

const ORDER_COLUMNS = [
  "partition",
  "next offset",
  "orders",
  "held updates",
  "digest",
  "bytes",
  "bytes/order",
  "runs",
  "segments",
  "store",
];

function orderCells(overview: Overview): (string | number)[] {
  const { partitions, orders, held = 0, digest = "-", bytes, bytesPerOrder = "-", runs, segments, store } = overview;
  // A store in which nothing is saved yet does not say whose it is.
  const [saved] = partitions;
  const [partition, nextOffset] = [String(saved?.partition ?? "-"), saved?.nextOffset ?? 0];
  return [partition, nextOffset, orders, held, digest, bytes, bytesPerOrder, runs, segments, basename(store)];
}

const INDEX_COLUMNS = ["orders", "idempotency keys", "bytes", "bytes/order", "runs", "segments"];

function indexTables({ orders, keyed = 0, bytes, bytesPerOrder, runs, segments, partitions }: Overview): string[] {
  const offsets = partitions.map(({ partition, nextOffset }) => [String(partition), nextOffset]);
  return [
    ...table(INDEX_COLUMNS, [[orders, keyed, bytes, bytesPerOrder ?? "-", runs, segments]]),
    ...(offsets.length === 0 ? [] : table(["partition", "next offset"], offsets)),
  ];
}

/** Sentences on the partitions whose rows lack the log's beginning. */
const beginnings = (partitions: readonly SavedPosition[]): string[] =>
  partitions
    .filter(({ firstOffset }) => firstOffset > 0)
    .map(({ partition, firstOffset }) => `Partition ${partition} was folded from offset ${firstOffset} on.`);
