import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../errors.ts";
import { readView } from "../../runtime/store/read-views/reading-views.ts";
import type { SavedPosition } from "../../runtime/store/read-views/read-view.ts";
import { withFile } from "../files/file-failures.ts";
import { invalid } from "../arguments.ts";
import { kindOf, type ShownKind } from "./store-kinds.ts";

/** What a store says of itself. */
export interface Store {
  readonly path: string;
  readonly shown: ShownKind;
  readonly logId: string;
  readonly topic: string;
  /** Those of its partitions of which something is saved. */
  readonly positions: readonly SavedPosition[];
}

/** A store that cannot be read. */
export interface Failure {
  readonly path: string;
  readonly error: AppError;
}

export interface Found {
  readonly stores: readonly Store[];
  readonly failures: readonly Failure[];
}

/**
 * The paths of all stores that are meant: a store's own path, or those in a directory, at any depth; in a data directory
 * those of its state. A store that was set aside is only meant by its own path. Throws FILE_UNUSABLE if there are none.
 */
export function storePaths(given: string): string[] {
  if (!existsSync(given)) throw new AppError("FILE_UNUSABLE", `There is no ${given}.`, { path: given });
  return withFile(given, () => {
    if (!statSync(given).isDirectory()) return [given];
    const state = join(given, "state");
    const directory = existsSync(state) ? state : given;
    const paths = readdirSync(directory, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".sqlite"))
      .map((name) => join(directory, name));
    if (paths.length === 0) throw new AppError("FILE_UNUSABLE", `There is no store in ${directory}.`, { path: given });
    return paths.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
  });
}

export function findStores(paths: readonly string[]): Found {
  const stores: Store[] = [];
  const failures: Failure[] = [];
  for (const path of paths) {
    try {
      stores.push(
        readView(path, (view) => {
          const { logId, topic, positions } = view;
          return { path, shown: kindOf(view), logId, topic, positions };
        }),
      );
    } catch (e) {
      failures.push(failureOf(path, e));
    }
  }
  return { stores, failures };
}

/** The failure as it is told; throws what is a defect. */
export function failureOf(path: string, e: unknown): Failure {
  if (!(e instanceof AppError)) throw e;
  return { path, error: e };
}

/** The stores that have each row once. */
export interface Meant extends Found {
  /** Sentences on what is left out. */
  readonly notes: readonly string[];
}

/**
 * Of the stores found, those whose rows are one topic's: the orders, or else the index. A partition that has moved
 * between processes is in several stores, of which the one that is furthest is meant. Throws OPTION_INVALID if the rows
 * are of several topics or logs.
 */
export function storesOfOneTopic({ stores, failures }: Found): Meant {
  const orders = stores.filter(({ shown }) => shown.what === "orders");
  const ofKind = orders.length > 0 ? orders : stores;
  const topics = [...new Set(ofKind.map(({ topic, logId }) => `${topic} of the log ${logId}`))];
  if (topics.length > 1) throw invalid(`The rows are those of ${topics.join(" and ")}: name a directory that has one of them.`);
  const notes: string[] = [];
  const meant: Store[] = [];
  const partitions = Map.groupBy(ofKind, ({ positions }) => positions[0]?.partition);
  for (const [partition, same] of partitions) {
    if (partition === undefined) continue;
    const [furthest, ...others] = same.toSorted((a, b) => offsets(b) - offsets(a)) as [Store, ...Store[]];
    meant.push(furthest);
    for (const { path } of others) notes.push(`${path} is left out: ${furthest.path} is the same, and further.`);
  }
  return { stores: ofKind.filter((store) => meant.includes(store)), failures, notes };
}

const offsets = ({ positions }: Store): number => positions.reduce((sum, { nextOffset }) => sum + nextOffset, 0);
