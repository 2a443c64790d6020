import { AppError } from "../../errors.ts";
import type { ObjectStorage } from "../../storage/object-storage.ts";
import type { Clock } from "../../system/clock.ts";
import type { Random } from "../../system/random.ts";
import type { HeldStore } from "../store/copy/held-store.ts";
import type { PinnedDatabase } from "../store/copy/pinned-database.ts";
import type { ByteFileName } from "../store/store-files.ts";
import type { Compression } from "./compression.ts";
import { FORMAT_VERSION, reach, type SnapshotManifest, type SnapshotSubject, writeManifest } from "./manifest.ts";
import { PartUploads } from "./part-uploads.ts";
import { PartWriter, pieceBytes, rowBytes } from "./part-writer.ts";
import { savedPositions } from "./saved-positions.ts";
import { manifestOf, newName } from "./snapshot-names.ts";

export interface SnapshotTools {
  readonly storage: ObjectStorage;
  readonly compression: Compression;
  readonly clock: Clock;
  readonly random: Random;
}

/** A snapshot that is there. */
export interface Snapshot {
  readonly name: string;
  readonly manifest: SnapshotManifest;
}

/** How many rows are read in one turn of the event loop: about a millisecond's. */
const ROWS_PER_TURN = 500;

/**
 * Copies a held store into the storage while the store goes on: its rows, the bytes beside them, and last, once all of
 * that is there, the manifest, without which it is no snapshot. `requireWanted` is called between two parts and right
 * before the manifest, and throws if the snapshot is not to be finished. Releases the store, whatever happens.
 */
export async function takeSnapshot(
  store: HeldStore,
  subject: SnapshotSubject,
  requireWanted: () => void,
  { storage, compression, clock, random }: SnapshotTools,
): Promise<Snapshot> {
  try {
    const positions = savedPositions(store.database);
    const taken_ms = clock.wall_ms();
    const name = newName(subject, reach({ positions }), taken_ms, random);
    const uploads = new PartUploads(name, storage, compression);
    const copying = new Copying(store, uploads, clock, requireWanted);
    await copying.rows(store.database);
    // SQLite's log may become shorter again.
    store.database.close();
    for (const [file, pieces] of store.held.files) await copying.pieces(file, pieces());
    const parts = await uploads.finish();
    copying.requireSound();
    const manifest = { format: FORMAT_VERSION, ...subject, taken_ms, positions, digest: store.digest, parts };
    await storage.put(manifestOf(name), writeManifest(manifest));
    return { name, manifest };
  } finally {
    store.release();
  }
}

/** Reads what is held, a turn of the event loop at a time, and hands it on in parts. */
class Copying {
  readonly #part = new PartWriter();

  constructor(
    private readonly store: HeldStore,
    private readonly uploads: PartUploads,
    private readonly clock: Clock,
    private readonly requireWanted: () => void,
  ) {}

  async rows(database: PinnedDatabase): Promise<void> {
    for (const { table, columns, rows } of database.tables()) {
      const part = this.#part;
      let read = 0;
      for (const row of rows) {
        const bytes = rowBytes(row);
        if (!part.isEmpty && !part.hasRoom(bytes)) await this.#hand("rows");
        if (part.isEmpty) part.beginRows(table, columns);
        part.row(row);
        if (++read % ROWS_PER_TURN === 0) await this.clock.yield();
      }
      // A table without rows is told as well: the new store's own must go.
      if (read === 0) part.beginRows(table, columns);
      await this.#hand("rows");
    }
  }

  async pieces(file: ByteFileName, pieces: Iterable<Parameters<PartWriter["piece"]>[0]>): Promise<void> {
    for (const piece of pieces) {
      if (!this.#part.isEmpty && !this.#part.hasRoom(pieceBytes(piece))) {
        // The piece is read already, and is only good until this turn ends.
        const kept = { at: piece.at, bytes: new Uint8Array(piece.bytes) };
        await this.#hand(file);
        this.#part.piece(kept);
      } else {
        this.#part.piece(piece);
      }
    }
    if (!this.#part.isEmpty) await this.#hand(file);
  }

  /** Throws if what was read may not be as it was held, or is not wanted any more. */
  requireSound(): void {
    if (this.store.held.isBroken)
      throw new AppError(
        "SNAPSHOT_FAILED",
        "The store changed more than is held back for a snapshot: the storage is too slow for it, or it is being rebuilt.",
      );
    this.requireWanted();
  }

  async #hand(content: Parameters<PartUploads["add"]>[0]): Promise<void> {
    this.requireSound();
    await this.uploads.add(content, this.#part.take());
    await this.clock.yield();
  }
}
