import { AppError, isAppError } from "../../src/errors.ts";
import type { Compression } from "../../src/runtime/snapshots/compression.ts";
import { MANIFEST_NAME, readManifest, type SnapshotManifest } from "../../src/runtime/snapshots/manifest.ts";
import { sha256Of } from "../../src/runtime/snapshots/part-uploads.ts";
import { snapshotOf } from "../../src/runtime/snapshots/snapshot-names.ts";
import type { ObjectStorage } from "../../src/storage/object-storage.ts";
import { Violation } from "../reference/violation.ts";
import type { Owner } from "./scheduler.ts";

/** Leaves the bytes as they are: a simulation has no time for more. */
export const noCompression: Compression = {
  compress: (bytes) => Promise.resolve(Uint8Array.from(bytes)),
  decompress: (bytes) => Promise.resolve(Uint8Array.from(bytes)),
};

const CALL_MS_MAX = 15;
/** Now and then a storage is slow. */
const SLOW_CALL_MS_MAX = 400;
const SLOW_CHANCE = 0.05;

interface Kept {
  bytes: Uint8Array;
  readonly modified_ms: number;
}

/** The storage of snapshots that all processes share. What is put is there as a whole, or not at all. */
export class SimulatedStorage {
  readonly #objects = new Map<string, Kept>();
  isAway = false;
  /** How often a call fails; it may have done its work all the same. */
  faultChance = 0;
  violation: Violation | undefined;

  /** `topicId` tells which topic has the name now. */
  constructor(
    private readonly random: () => number,
    private readonly topicId: () => string | undefined,
  ) {}

  /** The storage as a process sees it. */
  connect(process: Owner): ObjectStorage {
    const call = async <T>(work: () => T): Promise<T> => {
      await process.sleep(this.#time_ms());
      if (this.isAway) throw failed();
      const fate = this.random() < this.faultChance ? this.random() : 1;
      if (fate < 0.5) throw failed();
      const done = work();
      await process.sleep(this.#time_ms());
      if (fate < 1) throw failed();
      return done;
    };
    return {
      url: "memory:",
      list: (prefix) =>
        call(() =>
          [...this.#objects].flatMap(([name, { bytes, modified_ms }]) =>
            name.startsWith(prefix) ? { name, bytes: bytes.length, modified_ms } : [],
          ),
        ),
      put: (name, bytes) => {
        const kept = Uint8Array.from(bytes);
        return call(() => void this.#objects.set(name, { bytes: kept, modified_ms: process.wall_ms() }));
      },
      get: (name) => call(() => this.#objects.get(name)?.bytes),
      remove: (name) => call(() => this.#remove(name)),
    };
  }

  /** The good snapshots of the topic that there is now. */
  good(): { readonly name: string; readonly manifest: SnapshotManifest }[] {
    const found = [];
    for (const [object, { bytes }] of this.#objects) {
      const name = snapshotOf(object);
      if (name === undefined || object !== name + MANIFEST_NAME) continue;
      const manifest = manifestIn(name, bytes);
      if (manifest === undefined) continue;
      const isOfTopic = manifest.positions.every(({ topicId }) => topicId === undefined || topicId === this.topicId());
      const isWhole = manifest.parts.every((part) => {
        const stored = this.#objects.get(name + part.name);
        return stored !== undefined && sha256Of(stored.bytes) === part.sha256;
      });
      if (isOfTopic && isWhole) found.push({ name, manifest });
    }
    return found;
  }

  /** Spoils an object of the snapshot, or takes it away; `share` picks which. */
  damage(name: string, share: number, how: "flip" | "cut" | "remove"): void {
    const objects = [...this.#objects.keys()].filter((object) => object.startsWith(name));
    const object = objects[Math.floor(share * objects.length)];
    const kept = object === undefined ? undefined : this.#objects.get(object);
    if (object === undefined || kept === undefined) return;
    if (how === "remove") this.#objects.delete(object);
    else if (how === "cut") kept.bytes = kept.bytes.slice(0, Math.floor(kept.bytes.length / 2));
    else if (!object.endsWith(MANIFEST_NAME))
      kept.bytes = kept.bytes.map((byte, n) => (n === kept.bytes.length >> 1 ? byte ^ 1 : byte));
  }

  #remove(object: string): void {
    const directory = (name: string): string => name.split("/").slice(0, -2).join("/");
    const ofStore = () => this.good().filter(({ name }) => directory(name) === directory(object));
    const before = object.endsWith(MANIFEST_NAME) ? ofStore().length : 0;
    this.#objects.delete(object);
    if (before > 0 && ofStore().length === 0)
      this.violation ??= new Violation("a-good-snapshot-stays", `${object} was deleted, of the only good snapshot of its store`);
  }

  #time_ms(): number {
    const isSlow = this.random() < SLOW_CHANCE;
    return Math.floor(this.random() * (isSlow ? SLOW_CALL_MS_MAX : CALL_MS_MAX));
  }
}

function manifestIn(name: string, bytes: Uint8Array): SnapshotManifest | undefined {
  try {
    return readManifest(name, bytes);
  } catch (e) {
    if (isAppError(e, "SNAPSHOT_UNUSABLE")) return undefined;
    throw e;
  }
}

const failed = (): AppError => new AppError("STORAGE_FAILED", "The storage does not answer.");
