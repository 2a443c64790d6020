import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { restoreSnapshot } from "../../runtime/snapshots/restoring.ts";
import { unusable } from "../../runtime/snapshots/manifest.ts";
import type { Snapshots } from "../../runtime/snapshots/snapshots.ts";
import type { Snapshot } from "../../runtime/snapshots/taking.ts";
import { restoreStore } from "../../runtime/store/copy/restored-store.ts";
import { PartitionStore } from "../../runtime/store/store.ts";
import { openDatabase } from "../../runtime/store/store-file.ts";
import type { StoreFiles } from "../../runtime/store/store-files.ts";
import type { KnownStore } from "./known-stores.ts";

/** A store made of a snapshot, in a directory of its own, which is removed when the scope is left. */
export interface RestoredCopy extends Disposable {
  readonly files: StoreFiles;
  /** The digest that the store says it has. */
  readonly digest: string | undefined;
}

/**
 * Makes a store of the snapshot below `directory`, and opens it as a service does. Rejects with SNAPSHOT_UNUSABLE if it
 * is not what its manifest says.
 */
export async function restoredCopy(
  snapshot: Snapshot,
  { projections }: KnownStore,
  snapshots: Snapshots,
  directory: string,
): Promise<RestoredCopy> {
  const { name, manifest } = snapshot;
  const { logId, topic, partition } = manifest;
  const dir = mkdtempSync(join(directory, "snapshot-"));
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  try {
    const path = join(dir, "copy.sqlite");
    const identity = { logId, topic, partition };
    const restored = restoreStore(path, projections, identity);
    try {
      await restoreSnapshot(snapshot, restored, () => undefined, snapshots.options);
      await restored.place(() => undefined);
    } finally {
      restored.drop();
    }
    const opened = openDatabase(path, projections, identity);
    if ("unusable" in opened) throw unusable(name, opened.unusable);
    const { files } = opened;
    let digest: string | undefined;
    for (const position of manifest.positions) {
      const store = new PartitionStore(files, projections, position.partition, () => undefined);
      digest = store.projections.digest;
      if (store.nextOffset !== position.nextOffset)
        throw unusable(name, `its rows are as of offset ${store.nextOffset}, and its manifest says ${position.nextOffset}`);
    }
    return {
      files,
      digest,
      [Symbol.dispose]: () => {
        files.close();
        remove();
      },
    };
  } catch (e) {
    remove();
    throw e;
  }
}
