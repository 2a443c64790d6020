import type { ObjectStorage } from "../../storage/object-storage.ts";
import { isAppError } from "../../errors.ts";
import type { Clock } from "../../system/clock.ts";
import type { Cell, TableRows } from "../store/copy/pinned-database.ts";
import type { RestoredStore } from "../store/copy/restored-store.ts";
import { isDamage } from "../store/store-failures.ts";
import type { Compression } from "./compression.ts";
import { type SnapshotPart, STORED_BYTES_MAX, unusable } from "./manifest.ts";
import { readPieces, readRows } from "./part-reader.ts";
import { sha256Of } from "./part-uploads.ts";
import type { Snapshot } from "./taking.ts";

/** How many parts are fetched at the same time. */
const DOWNLOADS_MAX = 3;
/** How many rows are written in one turn of the event loop: about a millisecond's. */
const ROWS_PER_TURN = 500;

export interface ReadingTools {
  readonly storage: ObjectStorage;
  readonly compression: Compression;
  readonly clock: Clock;
}

/**
 * Fills the store with the snapshot's rows and pieces. Rejects with SNAPSHOT_UNUSABLE if anything of it is not as its
 * manifest says, and with STORAGE_FAILED if the storage does not give it. `requireWanted` is called between two parts,
 * and throws if the rest is not wanted any more.
 */
export async function restoreSnapshot(
  snapshot: Snapshot,
  store: RestoredStore,
  requireWanted: () => void,
  tools: ReadingTools,
): Promise<void> {
  const { name } = snapshot;
  try {
    for await (const { content, bytes } of partsOf(snapshot, tools)) {
      requireWanted();
      if (content === "rows") await insertRows(store, readRows(bytes), tools.clock);
      else for (const { at, bytes: piece } of readPieces(bytes)) store.bytes(content).write(asBuffer(piece), 0, piece.length, at);
      await tools.clock.yield();
    }
  } catch (e) {
    if (e instanceof RangeError || isDamage(e)) throw unusable(name, `what is in it is no store (${e.message})`);
    throw e;
  }
}

/** Reads every part and compares it with the manifest. Rejects as `restoreSnapshot` does. */
export async function verifyParts(snapshot: Snapshot, requireWanted: () => void, tools: ReadingTools): Promise<void> {
  for await (const _ of partsOf(snapshot, tools)) requireWanted();
}

interface PartBytes extends Pick<SnapshotPart, "content"> {
  readonly bytes: Uint8Array;
}

/** The parts in their order, each compared with what the manifest says of it. */
async function* partsOf({ name, manifest: { parts } }: Snapshot, tools: ReadingTools): AsyncGenerator<PartBytes> {
  const ahead: Promise<PartBytes>[] = [];
  for (let next = 0; next < parts.length || ahead.length > 0;) {
    while (ahead.length < DOWNLOADS_MAX && next < parts.length) {
      const part = readPart(name, parts[next++] as SnapshotPart, tools);
      // It is awaited later, unless an earlier one fails.
      part.catch(() => undefined);
      ahead.push(part);
    }
    yield await (ahead.shift() as Promise<PartBytes>);
  }
}

async function readPart(
  name: string,
  { name: part, content, bytes, bytes_raw, sha256 }: SnapshotPart,
  { storage, compression }: ReadingTools,
): Promise<PartBytes> {
  const stored = await storage.get(`${name}${part}`, STORED_BYTES_MAX);
  if (stored === undefined) throw unusable(name, `its part ${part} is missing`);
  if (stored.length !== bytes) throw unusable(name, `its part ${part} has ${stored.length} bytes, not ${bytes}`);
  if (sha256Of(stored) !== sha256) throw unusable(name, `the checksum of its part ${part} is another`);
  let raw: Uint8Array;
  try {
    raw = await compression.decompress(stored, bytes_raw);
  } catch (e) {
    if (isAppError(e)) throw e;
    throw unusable(name, `its part ${part} cannot be decompressed (${e instanceof Error ? e.message : String(e)})`);
  }
  if (raw.length !== bytes_raw) throw unusable(name, `its part ${part} has ${raw.length} bytes raw, not ${bytes_raw}`);
  return { content, bytes: raw };
}

async function insertRows(store: RestoredStore, { table, columns, rows }: TableRows, clock: Clock): Promise<void> {
  const all = rows[Symbol.iterator]();
  for (;;) {
    const some: (readonly Cell[])[] = [];
    let isOver = false;
    while (some.length < ROWS_PER_TURN && !isOver) {
      const { value, done } = all.next();
      if (done === true) isOver = true;
      else some.push(value);
    }
    store.insert({ table, columns, rows: some });
    if (isOver) return;
    await clock.yield();
  }
}

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, byteLength);
