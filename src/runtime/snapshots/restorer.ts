import { AppError, isAppError } from "../../errors.ts";
import type { TopicEnds } from "../../log/port.ts";
import type { SnapshotMeter } from "../../telemetry/meters.ts";
import { AppliedMark } from "../store/position/applied-mark.ts";
import type { RestoredStore } from "../store/copy/restored-store.ts";
import { misfit } from "./choosing.ts";
import { reach, snapshotBytes, type SnapshotManifest, type SnapshotSubject } from "./manifest.ts";
import { restoreSnapshot } from "./restoring.ts";
import type { Snapshots } from "./snapshots.ts";
import type { Snapshot } from "./taking.ts";

export interface RestorerOptions {
  readonly snapshots: Snapshots;
  /** The store that a partition is in. */
  readonly subject: (partition: number) => SnapshotSubject;
  /** Begins to restore that store, beside its place. */
  readonly begin: (partition: number) => RestoredStore;
  readonly snapshotMeter?: SnapshotMeter | undefined;
  readonly onMessage: (partition: number, message: string, level: "info" | "warn") => void;
}

/** A store that is filled from a snapshot, and not in its place yet. */
export interface Fetched {
  readonly snapshot: Snapshot;
  /** See `RestoredStore.place`. */
  place(onReady: () => void): Promise<void>;
  drop(): void;
}

export interface NoSnapshot {
  /** Why there is no snapshot that can be restored: a clause for a sentence. */
  readonly none: string;
  /** Whether there should have been one: some were passed over, or the storage does not answer. */
  readonly isMissed: boolean;
}

/** How many stores are filled at the same time: each has some parts of a few megabytes in memory. */
const RESTORES_MAX = 2;

/**
 * Finds the newest snapshot of a store that is good and that the log goes on from, and fills a new store from it. One
 * that is damaged, torn, foreign or of another version is passed over for the one before.
 *
 * ```
 *  waiting ─▶ listed ─▶ newest ──fits──▶ filling ──whole──▶ fetched ──place()──▶ in its place
 *                         │ ▲              └─ not as its manifest says ─┐
 *                         └─┴── the one before ◀────────────────────────┘
 *                         └── none is left ──▶ NoSnapshot
 * ```
 */
export class Restorer {
  /** Those that were put in a place by this process. A store that was damaged afterwards is not made of them again. */
  readonly #placed = new Set<string>();
  #restoring = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(private readonly options: RestorerOptions) {}

  /**
   * Rejects with STORAGE_FAILED if the storage does not say what it has, and with what `requireWanted` throws, which is
   * called now and then.
   */
  async fetch(partition: number, ends: TopicEnds, requireWanted: () => void): Promise<Fetched | NoSnapshot> {
    while (this.#restoring >= RESTORES_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#restoring++;
    try {
      requireWanted();
      return await this.#fetch(partition, ends, requireWanted);
    } finally {
      this.#restoring--;
      this.#waiting.shift()?.();
    }
  }

  async #fetch(partition: number, ends: TopicEnds, requireWanted: () => void): Promise<Fetched | NoSnapshot> {
    const { snapshots, subject: subjectOf, snapshotMeter, onMessage } = this.options;
    const subject = subjectOf(partition);
    const reasons: string[] = [];
    for (const one of (await snapshots.list(subject)).filter(({ isFinished }) => isFinished)) {
      requireWanted();
      try {
        const manifest = await snapshots.read(one);
        const why = this.#placed.has(one.name) ? "the store that was made of it was damaged" : misfit(manifest, subject, ends);
        if (why === undefined) return await this.#fill(partition, { name: one.name, manifest }, requireWanted);
        reasons.push(`${one.name}: ${why}`);
      } catch (e) {
        if (!isAppError(e, "SNAPSHOT_UNUSABLE")) throw e;
        snapshotMeter?.snapshotDamaged();
        reasons.push(e.message.replace(/\.$/, ""));
        onMessage(partition, `${e.message} The one before is taken, or the log.`, "warn");
      }
    }
    if (reasons.length === 0) return { none: `there is no snapshot of it at ${snapshots.url}`, isMissed: false };
    const none = `none of its ${reasons.length} snapshots at ${snapshots.url} can be used; the newest: ${reasons[0]}`;
    return { none, isMissed: true };
  }

  async #fill(partition: number, snapshot: Snapshot, requireWanted: () => void): Promise<Fetched> {
    const { snapshots, begin, onMessage } = this.options;
    const { name, manifest } = snapshot;
    const { clock } = snapshots.options;
    const began_ms = clock.now_ms();
    const size = `${(snapshotBytes(manifest) / 2 ** 20).toFixed(1)} MiB`;
    onMessage(partition, `Restoring from the snapshot ${name}, ${size}, of ${positionsIn(manifest)}.`, "info");
    const store = begin(partition);
    try {
      await restoreSnapshot(snapshot, store, requireWanted, snapshots.options);
      markIncomplete(store, manifest);
    } catch (e) {
      store.drop();
      throw e;
    }
    const place = async (onReady: () => void): Promise<void> => {
      try {
        await store.place(() => {
          requireWanted();
          onReady();
        });
      } catch (e) {
        store.drop();
        throw e;
      }
      this.#placed.add(name);
      const took_s = ((clock.now_ms() - began_ms) / 1_000).toFixed(1);
      onMessage(partition, `Restored from the snapshot in ${took_s} s; the log is read on from there.`, "info");
    };
    return { snapshot, place, drop: () => store.drop() };
  }
}

/** Throws if a restore is to go on although its partition is not held any more. */
export const noLongerWanted = (): AppError => new AppError("INTERRUPTED", "The store is not wanted any more.");

const positionsIn = (manifest: SnapshotManifest): string => {
  const [first, ...others] = manifest.positions;
  const when = new Date(manifest.taken_ms).toISOString();
  return others.length === 0
    ? `offset ${first?.nextOffset} at ${when}`
    : `${reach(manifest)} records of ${others.length + 1} partitions at ${when}`;
};

/** What others have answered from since is not in the rows, so they are not complete before the log's end is reached. */
function markIncomplete(store: RestoredStore, { positions }: SnapshotManifest): void {
  for (const { partition, nextOffset, last } of positions)
    new AppliedMark(store.bytes("applied"), partition).write({ nextOffset, last, isRestored: true });
}
