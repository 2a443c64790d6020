import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { AppError } from "../../errors.ts";
import { noAccess, noAccessToDatabase } from "../../system/file-access.ts";
import { FileLock } from "../../system/file-lock.ts";
import type { Projections } from "../projections.ts";
import { openFilesShortage } from "./open-files.ts";
import { type OpenFile, openSqliteFile } from "./store-database.ts";
import { cannotBeOpened } from "./store-failures.ts";
import { StoreMemory } from "./store-memory.ts";
import { hasApplied, type Locking, moveAside, type OpenedStore, openDatabase, type StoreIdentity } from "./store-file.ts";

/** Where a process keeps its stores: on disk, or in memory for a simulation, which runs many processes. */
export interface State {
  /** Opens a store, or creates it. A store that cannot be used is left as it is. */
  open(name: string, projections: Projections, identity: StoreIdentity, locking?: Locking): OpenedStore;
  /** The path of the store, whether or not it exists. */
  path(name: string): string;
  /** Renames a closed store, so that the next `open` creates a new one. Returns the new name. */
  setAside(name: string, wall_ms: number): string;
  /** The partitions of the topic that have a store of their own here, named by `storeName`. */
  partitions(topic: string): number[];
  release(): void;
}

/** Claims the state for the log with this id. */
export type ClaimState = (logId: string) => State;

/** The directory of all stores for the log with this id. */
export const statePath = (dataDir: string, logId: string): string => join(dataDir, "state", logId);

export const storeName = (topic: string, partition: number): string => `${topic}.${partition}.sqlite`;

/**
 * The path of a store in the data directory that holds applied records of the topic, whichever role made it and
 * whether or not that role runs now. Nothing is claimed or changed.
 */
function appliedStore(dataDir: string, logId: string, topic: string): string | undefined {
  const state = statePath(dataDir, logId);
  if (!existsSync(state)) return undefined;
  // A directory that cannot be read may hold such a store, so it counts as one.
  if (noAccess(state) !== undefined) return state;
  for (const name of readdirSync(state, { recursive: true, encoding: "utf8" })) {
    const file = basename(name);
    if (!file.startsWith(`${topic}.`) || !file.endsWith(".sqlite")) continue;
    const path = join(state, name);
    if (hasApplied(path, topic)) return path;
  }
  return undefined;
}

export interface AppliedState {
  /** The path of a store. */
  readonly path: string;
  /** The id of the log that the store belongs to. */
  readonly logId: string;
}

/** Finds state of the orders' topic, if there is any: of the log with this id, or else of another log. */
export type StateOf = (logId: string) => AppliedState | undefined;

/** `counts` tells for another log's id whether that log's state is considered. */
export function appliedState(
  dataDir: string,
  topic: string,
  logId: string,
  counts: (logId: string) => boolean,
): AppliedState | undefined {
  const own = appliedStore(dataDir, logId, topic);
  if (own !== undefined) return { path: own, logId };
  const state = join(dataDir, "state");
  for (const other of existsSync(state) ? readdirSync(state) : []) {
    const path = other === logId || !counts(other) ? undefined : appliedStore(dataDir, other, topic);
    if (path !== undefined) return { path, logId: other };
  }
  return undefined;
}

/** At most this many instances of one role share a data directory. */
const INSTANCES_MAX = 64;

/**
 * A process's own directory for stores: `<data dir>/state/<log id>/<role>-<n>`, with the lowest `n` that no living
 * process holds. Several instances of a role can thus share a data directory, a restarted instance finds its stores
 * again, and the stores of other logs are left alone.
 */
export class StateDir implements State {
  readonly #memory = new StoreMemory();

  private constructor(
    private readonly directory: string,
    private readonly lock: FileLock,
    private readonly openFile: OpenFile,
  ) {}

  /** Throws DATA_DIR_IN_USE if all directories are held. */
  static claim(dataDir: string, logId: string, role: string, openFile = openSqliteFile): StateDir {
    for (let n = 0; n < INSTANCES_MAX; n++) {
      const path = join(statePath(dataDir, logId), `${role}-${n}`);
      const lock = new FileLock(join(path, "lock"));
      try {
        mkdirSync(path, { recursive: true });
        if (lock.tryTake()) return new StateDir(path, lock, openFile);
      } catch (e) {
        const why = noAccess(dirname(path), path, lock.path);
        throw why === undefined ? e : new AppError("STORE_FAILED", why, {}, e);
      }
    }
    throw new AppError(
      "DATA_DIR_IN_USE",
      `${INSTANCES_MAX} processes already use ${dataDir} as ${role}; set DATA_DIR to another directory.`,
    );
  }

  open(name: string, projections: Projections, identity: StoreIdentity, locking?: Locking): OpenedStore {
    // SQLite would open a file that this user may only read, and would not notice when the user may write it later.
    const before = noAccessToDatabase(this.path(name)) ?? openFilesShortage();
    if (before !== undefined) throw new AppError("STORE_FAILED", before);
    try {
      return openDatabase(this.path(name), projections, identity, { locking, openFile: this.openFile, memory: this.#memory });
    } catch (e) {
      const shortage = cannotBeOpened(e) ? openFilesShortage() : undefined;
      throw shortage === undefined ? e : new AppError("STORE_FAILED", shortage, {}, e);
    }
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  setAside(name: string, wall_ms: number): string {
    return moveAside(this.path(name), wall_ms);
  }

  partitions(topic: string): number[] {
    const partitions: number[] = [];
    for (const name of readdirSync(this.directory)) {
      if (!name.startsWith(`${topic}.`) || !name.endsWith(".sqlite")) continue;
      const partition = Number(name.slice(topic.length + 1, -".sqlite".length));
      if (Number.isInteger(partition)) partitions.push(partition);
    }
    return partitions;
  }

  release(): void {
    this.lock.release();
  }
}
