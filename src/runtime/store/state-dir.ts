import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { AppError } from "../../errors.ts";
import { noAccess, noAccessToDatabase } from "../../system/file-access.ts";
import { FileLock } from "../../system/file-lock.ts";
import type { Projections } from "../projections.ts";
import { type RestoredStore, restoreStore } from "./copy/restored-store.ts";
import { openFilesShortage } from "./open-files.ts";
import type { NewUuid } from "../../system/random.ts";
import { type OpenFile, openSqliteFile } from "./store-database.ts";
import { cannotBeOpened } from "./store-failures.ts";
import { hasHaltMark, writeHaltMark } from "./halt-mark.ts";
import { hasFiles, removeStore, writtenAt_ms } from "./store-files.ts";
import { StoreMemory } from "./store-memory.ts";
import { isNamedFor, nameOfAll, partitionIn, unversionedName, versionedName } from "./store-names.ts";
import {
  firstOffsetIn,
  hasApplied,
  isOfOtherKind,
  moveAside,
  type OpenedStore,
  openDatabase,
  savedPosition,
  type StoreIdentity,
} from "./store-file.ts";
import { isUnneeded, type Unneeded } from "./unneeded-store.ts";

/** Where a process keeps its stores: on disk, or in memory for a simulation, which runs many processes. */
export interface State {
  /** Opens a store, or creates it. A store that cannot be used is left as it is. */
  open(name: string, projections: Projections, identity: StoreIdentity): OpenedStore;
  /**
   * The name of the store that has these projections of the partition, or will have. A store of another version beside
   * it is left as it is.
   */
  storeName(topic: string, partition: number, projections: Projections): string;
  /**
   * Deletes the partition's stores of other versions that nobody has written since then, but for those whose partition
   * halted. Returns their paths.
   */
  removeOutdated(topic: string, partition: number, projections: Projections, before_wall_ms: number): string[];
  /** Keeps beside the store why its partition halted, until it runs again. Throws if that cannot be kept. */
  noteHalt(name: string, why: string): void;
  /** The partitions of the topic that have a store here, of whatever version. */
  partitions(topic: string): number[];
  /**
   * The first offset of the records that are applied in the partition's stores, of whatever version: 0 where that cannot
   * be read now; undefined if none are. Throws if the directory cannot be read.
   */
  appliedFrom(topic: string, partition: number): number | undefined;
  /**
   * Deletes the partition's stores that are not open and that nobody needs; those of other versions only if there is
   * none left with these projections. Returns their paths.
   */
  removeMoved(topic: string, partition: number, projections: Projections, unneeded: Unneeded): string[];
  /** Begins to make the store of a snapshot, beside its place. */
  restore(name: string, projections: Projections, identity: StoreIdentity): RestoredStore;
  /** The path of the store, whether or not it exists. */
  path(name: string): string;
  /**
   * Tells one file from another under the store's name; undefined if there is none. An open store whose file is removed
   * goes on without a name, and ends with its process. Throws if that cannot be looked at.
   */
  fileId(name: string): number | undefined;
  /** Renames a closed store, so that the next `open` creates a new one. Returns the new name. */
  setAside(name: string, wall_ms: number): string;
  /**
   * How much of the topic's partitions is saved that have a store of their own here, in offsets. Stores that would not be used as they
   * are, do not count.
   */
  positions(topic: string, projections: Projections): Map<number, number>;
  /** The short text that was kept under this name with this state; undefined if there is none. */
  kept(name: string): string | undefined;
  /** Keeps a short text in place of the one before. Throws if it cannot be kept. */
  keep(name: string, text: string): void;
  /** An id that is made once and lives with this state. Throws if it cannot be kept. */
  instanceId(): string;
  /** Takes another id from now on. Throws if it cannot be kept; then there is none until it can. */
  renewInstanceId(): string;
  release(): void;
}

/** Claims the state for the log with this id, rather one that has stores of these projections. */
export type ClaimState = (logId: string, projections?: Projections) => State;

/** The directory of all stores for the log with this id. */
export const statePath = (dataDir: string, logId: string): string => join(dataDir, "state", logId);

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

/** Whether the directory has a store that holds these projections. */
function hasStoresFor(directory: string, projections: Projections | undefined): boolean {
  if (projections === undefined || !existsSync(directory) || noAccess(directory) !== undefined) return false;
  const names = readdirSync(directory).filter((name) => name.endsWith(".sqlite"));
  if (names.some((name) => isNamedFor(name, projections))) return true;
  // All stores of an earlier version of the program are of one version.
  const unversioned = names.find((name) => /\.\d+\.sqlite$/.test(name));
  return unversioned !== undefined && !isOfOtherKind(join(directory, unversioned), projections);
}

/** The file in a process's directory that has its instance id. */
const INSTANCE_FILE = "instance";
const INSTANCE_PATTERN = /^[0-9a-f-]{36}$/;

export interface StateDirOptions {
  readonly newUuid: NewUuid;
  readonly openFile?: OpenFile;
  /** On the process's clock. */
  readonly now_ms?: () => number;
  /** What the stores are to hold that the process looks for. */
  readonly projections?: Projections | undefined;
}

/** At most this many instances of one role share a data directory. */
const INSTANCES_MAX = 64;

/**
 * A process's own directory for stores: `<data dir>/state/<log id>/<role>-<n>`, with the lowest `n` that no living
 * process holds, of those that have stores of the process's own version if there are any. Several instances of a role,
 * also of different versions, can thus share a data directory, a restarted instance finds its stores again, and the
 * stores of other logs are left alone.
 */
export class StateDir implements State {
  readonly #memory = new StoreMemory();

  private constructor(
    private readonly directory: string,
    private readonly lock: FileLock,
    private readonly options: StateDirOptions & { readonly logId: string },
  ) {}

  /** Throws DATA_DIR_IN_USE if all directories are held. */
  static claim(dataDir: string, logId: string, role: string, options: StateDirOptions): StateDir {
    const all = Array.from({ length: INSTANCES_MAX }, (_, n) => join(statePath(dataDir, logId), `${role}-${n}`));
    for (const path of [...all.filter((each) => hasStoresFor(each, options.projections)), ...all]) {
      const lock = new FileLock(join(path, "lock"));
      try {
        mkdirSync(path, { recursive: true });
        if (lock.tryTake()) return new StateDir(path, lock, { ...options, logId });
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

  open(name: string, projections: Projections, identity: StoreIdentity): OpenedStore {
    // SQLite would open a file that this user may only read, and would not notice when the user may write it later.
    const before = noAccessToDatabase(this.path(name)) ?? openFilesShortage(this.options.now_ms?.());
    if (before !== undefined) throw new AppError("STORE_FAILED", before);
    try {
      const { openFile = openSqliteFile } = this.options;
      return openDatabase(this.path(name), projections, identity, { openFile, memory: this.#memory });
    } catch (e) {
      const shortage = cannotBeOpened(e) ? openFilesShortage(this.options.now_ms?.()) : undefined;
      throw shortage === undefined ? e : new AppError("STORE_FAILED", shortage, {}, e);
    }
  }

  restore(name: string, projections: Projections, identity: StoreIdentity): RestoredStore {
    const before = noAccessToDatabase(this.path(name)) ?? openFilesShortage(this.options.now_ms?.());
    if (before !== undefined) throw new AppError("STORE_FAILED", before);
    return restoreStore(this.path(name), projections, identity);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  fileId(name: string): number | undefined {
    return statSync(this.path(name), { throwIfNoEntry: false })?.ino;
  }

  setAside(name: string, wall_ms: number): string {
    return moveAside(this.path(name), wall_ms);
  }

  storeName(topic: string, partition: number, projections: Projections): string {
    const [versioned, unversioned] = [versionedName(topic, partition, projections), unversionedName(topic, partition)];
    if (existsSync(this.path(versioned)) || !existsSync(this.path(unversioned))) return versioned;
    return isOfOtherKind(this.path(unversioned), projections) ? versioned : unversioned;
  }

  positions(topic: string, projections: Projections): Map<number, number> {
    const positions = new Map<number, number>();
    for (const partition of this.partitions(topic)) {
      const path = this.path(this.storeName(topic, partition, projections));
      const saved = savedPosition(path, projections, { logId: this.options.logId, topic, partition });
      if (saved !== undefined) positions.set(partition, saved);
    }
    return positions;
  }

  removeOutdated(topic: string, partition: number, projections: Projections, before_wall_ms: number): string[] {
    const used = this.storeName(topic, partition, projections);
    // Without a store of its own version, the process may have to go back to another one.
    if (!existsSync(this.path(used))) return [];
    const outdated = readdirSync(this.directory)
      .filter((name) => name !== used && (partitionIn(name, topic) === partition || name === nameOfAll(topic)))
      .map((name) => this.path(name))
      .filter((path) => writtenAt_ms(path) < before_wall_ms && !hasHaltMark(path));
    for (const path of outdated) removeStore(path);
    return outdated;
  }

  noteHalt(name: string, why: string): void {
    writeHaltMark(this.path(name), why);
  }

  partitions(topic: string): number[] {
    const found = readdirSync(this.directory).flatMap((name) => partitionIn(name, topic) ?? []);
    return [...new Set(found)];
  }

  appliedFrom(topic: string, partition: number): number | undefined {
    const names = readdirSync(this.directory).filter((name) => partitionIn(name, topic) === partition);
    const starts = names.map((name) => this.path(name)).filter((path) => hasApplied(path, topic));
    return starts.length === 0 ? undefined : Math.min(...starts.map(firstOffsetIn));
  }

  removeMoved(topic: string, partition: number, projections: Projections, unneeded: Unneeded): string[] {
    const used = this.storeName(topic, partition, projections);
    const identity = { logId: this.options.logId, topic, partition };
    const removed = (names: readonly string[]): string[] => {
      const paths = names.map((name) => this.path(name)).filter((path) => isUnneeded(path, identity, unneeded));
      for (const path of paths) removeStore(path);
      return paths;
    };
    const own = removed([used]);
    // While there is a store of its own version, the process may have to go back to another one.
    if (hasFiles(this.path(used))) return own;
    return [...own, ...removed(readdirSync(this.directory).filter((name) => partitionIn(name, topic) === partition))];
  }

  instanceId(): string {
    const kept = this.kept(INSTANCE_FILE) ?? "";
    return INSTANCE_PATTERN.test(kept) ? kept : this.renewInstanceId();
  }

  renewInstanceId(): string {
    const id = this.options.newUuid();
    this.keep(INSTANCE_FILE, id);
    return id;
  }

  kept(name: string): string | undefined {
    const path = join(this.directory, name);
    return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
  }

  keep(name: string, text: string): void {
    const path = join(this.directory, name);
    // Whoever finds the file finds all of it: a part of an id would be another one.
    writeFileSync(`${path}.new`, `${text}\n`, { flush: true });
    renameSync(`${path}.new`, path);
  }

  release(): void {
    this.lock.release();
  }
}
