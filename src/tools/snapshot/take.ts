import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { AppError } from "../../errors.ts";
import type { Snapshots } from "../../runtime/snapshots/snapshots.ts";
import type { Snapshot } from "../../runtime/snapshots/taking.ts";
import { readView } from "../../runtime/store/read-views/reading-views.ts";
import { PartitionStore } from "../../runtime/store/store.ts";
import { openDatabase } from "../../runtime/store/store-file.ts";
import { storeError } from "../../runtime/store/read-views/read-view-failures.ts";
import { FileLock } from "../../system/file-lock.ts";
import { KNOWN_STORES } from "./known-stores.ts";

/** What became of one store. */
export interface Taken {
  readonly path: string;
  readonly snapshot?: Snapshot;
  /** Why there is no snapshot of it. */
  readonly error?: AppError;
}

/**
 * Takes snapshots of the stores in the data directory, of the processes that do not run. A process that runs has its
 * directory locked and takes its own: only who writes to a store can hold back what is written over.
 */
export async function* takeAll(dataDir: string, topic: string, snapshots: Snapshots): AsyncGenerator<Taken> {
  const state = join(dataDir, "state");
  for (const logId of existsSync(state) ? readdirSync(state) : [])
    for (const name of readdirSync(join(state, logId)).toSorted()) {
      const role = KNOWN_STORES.find((one) => name.startsWith(`${one.role}-`));
      if (role !== undefined) yield* takeOf(join(state, logId, name), topic, snapshots);
    }
}

async function* takeOf(directory: string, topic: string, snapshots: Snapshots): AsyncGenerator<Taken> {
  const paths = readdirSync(directory)
    .filter((name) => name.startsWith(`${topic}.`) && name.endsWith(".sqlite"))
    .map((name) => join(directory, name));
  if (paths.length === 0) return;
  const lock = new FileLock(join(directory, "lock"));
  if (!lock.tryTake()) {
    const message = `${directory} is that of a process that runs: it takes its snapshots itself, also when it stops.`;
    yield { path: directory, error: new AppError("OPERATION_REFUSED", message, { path: directory }) };
    return;
  }
  try {
    for (const path of paths.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }))) yield await take(path, snapshots);
  } finally {
    lock.release();
  }
}

async function take(path: string, snapshots: Snapshots): Promise<Taken> {
  try {
    const { logId, topic, positions, projections } = readView(path, (view) => view);
    const [first] = positions;
    if (first === undefined) throw new AppError("OPERATION_REFUSED", `Nothing is saved in ${path}.`, { path });
    const known = KNOWN_STORES.find(({ kind }) =>
      projections.some(({ name, version }) => name === kind.name && version === kind.version),
    );
    if (known === undefined)
      throw new AppError("OPERATION_REFUSED", `${path} is another version's: take its snapshot with that version.`, { path });
    const { partition } = first;
    const opened = openDatabase(path, known.projections, { logId, topic, partition });
    if ("unusable" in opened) throw new AppError("STORE_FAILED", `${path} cannot be used: ${opened.unusable}.`, { path });
    const { files } = opened;
    try {
      const store = new PartitionStore(files, known.projections, first.partition, () => undefined);
      return {
        path,
        snapshot: await snapshots.take(store.hold(), { logId, topic, partition, kind: known.kind }, () => undefined),
      };
    } finally {
      files.close();
    }
  } catch (e) {
    const error = storeError(path, e);
    if (!(error instanceof AppError)) throw error;
    return { path: join(basename(dirname(path)), basename(path)), error };
  }
}
