import { isAppError } from "../../errors.ts";
import type { StoredObject } from "../../storage/object-storage.ts";
import type { HeldStore } from "../store/copy/held-store.ts";
import { superseded } from "./choosing.ts";
import { MANIFEST_BYTES_MAX, readManifest, type SnapshotManifest, type SnapshotSubject, unusable } from "./manifest.ts";
import { verifyParts } from "./restoring.ts";
import { directoryOf, manifestOf, snapshotOf } from "./snapshot-names.ts";
import { type Snapshot, takeSnapshot, type SnapshotTools } from "./taking.ts";

export interface SnapshotsOptions extends SnapshotTools {
  /** How many good ones of each store are kept. */
  readonly kept: number;
}

/** What the storage has under the name of a snapshot. */
export interface ListedSnapshot {
  readonly name: string;
  /** The stored length of each of its objects, by name within the snapshot. */
  readonly objects: ReadonlyMap<string, number>;
  readonly modified_ms: number;
  /** Whether its manifest is there. Without one it was torn off, or is being taken. */
  readonly isFinished: boolean;
}

/** One name for all processes, so that what a crash leaves of it stays one small object, which is no snapshot. */
const PROBE_NAME = "probe";

/** What has no manifest by then was torn off: nobody takes that long for a snapshot. */
const TORN_MS_MIN = 24 * 3_600_000;

/** The snapshots of stores in a storage. Nothing of them is remembered here, since others take and delete them, too. */
export class Snapshots {
  constructor(readonly options: SnapshotsOptions) {}

  /** The url of the storage, for messages. */
  get url(): string {
    return this.options.storage.url;
  }

  /** Puts a small object and removes it again; rejects with STORAGE_FAILED if snapshots could not be put or removed. */
  async probe(): Promise<void> {
    const { storage } = this.options;
    await storage.put(PROBE_NAME, new TextEncoder().encode("Whether snapshots can be put here.\n"));
    await storage.remove(PROBE_NAME);
  }

  /** What is there of a store, the furthest first. */
  async list(subject: SnapshotSubject): Promise<ListedSnapshot[]> {
    return listed(await this.options.storage.list(directoryOf(subject)));
  }

  /** Resolves with the manifest; rejects with SNAPSHOT_UNUSABLE if it is none, or parts of it are missing. */
  async read({ name, objects }: ListedSnapshot): Promise<SnapshotManifest> {
    const bytes = await this.options.storage.get(manifestOf(name), MANIFEST_BYTES_MAX);
    if (bytes === undefined) throw unusable(name, "its manifest is gone");
    const manifest = readManifest(name, bytes);
    for (const part of manifest.parts)
      if (objects.get(part.name) !== part.bytes) throw unusable(name, `its part ${part.name} is missing, or was cut off`);
    return manifest;
  }

  /** Takes a snapshot and reads it back, so that it is known to be good. See `takeSnapshot`. */
  async take(store: HeldStore, subject: SnapshotSubject, requireWanted: () => void): Promise<Snapshot> {
    const snapshot = await takeSnapshot(store, subject, requireWanted, this.options);
    await verifyParts(snapshot, () => undefined, this.options);
    return snapshot;
  }

  /**
   * Deletes what is not kept beside a snapshot that was just read back, and what was torn off long ago. Resolves with
   * the names.
   */
  async prune(subject: SnapshotSubject, verified: Snapshot): Promise<string[]> {
    const all = await this.list(subject);
    const finished = all.filter(({ isFinished, name }) => isFinished && name !== verified.name);
    const candidates = await Promise.all(
      finished.map(async (one) => ({ name: one.name, manifest: await this.#manifestIfGood(one) })),
    );
    const torn = all.filter((one) => !one.isFinished && this.#isOld(one)).map(({ name }) => name);
    const deleted = [...superseded(verified.manifest, candidates, this.options.kept), ...torn];
    for (const name of deleted) await this.delete(all.find((one) => one.name === name) as ListedSnapshot);
    return deleted;
  }

  /** Deletes a snapshot, its manifest first: what is left after a crash is none. */
  async delete({ name, objects }: ListedSnapshot): Promise<void> {
    const { storage } = this.options;
    await storage.remove(manifestOf(name));
    for (const object of objects.keys()) if (`${name}${object}` !== manifestOf(name)) await storage.remove(`${name}${object}`);
  }

  async #manifestIfGood(one: ListedSnapshot): Promise<SnapshotManifest | undefined> {
    try {
      return await this.read(one);
    } catch (e) {
      if (isAppError(e, "SNAPSHOT_UNUSABLE")) return undefined;
      throw e;
    }
  }

  #isOld({ modified_ms }: ListedSnapshot): boolean {
    return this.options.clock.wall_ms() - modified_ms >= TORN_MS_MIN;
  }
}

/** The snapshots that the objects belong to, the furthest of each store first. */
export function listed(objects: readonly StoredObject[]): ListedSnapshot[] {
  const byName = Map.groupBy(objects, ({ name }) => snapshotOf(name));
  return [...byName]
    .flatMap(([name, own]) =>
      name === undefined
        ? []
        : {
            name,
            objects: new Map(own.map((object) => [object.name.slice(name.length), object.bytes])),
            modified_ms: Math.max(...own.map(({ modified_ms }) => modified_ms)),
            isFinished: own.some((object) => object.name === manifestOf(name)),
          },
    )
    .toSorted((a, b) => (a.name < b.name ? 1 : -1));
}
