import { existsSync, renameSync, statSync } from "node:fs";
import { type ByteFile, openByteFile, openByteFileToRead } from "./byte-file.ts";
import type { StoreDatabase } from "./store-database.ts";
import type { StoreMemory } from "./store-memory.ts";

/** The files of one store. The database says which bytes of the others belong to the store. */
export interface StoreFiles {
  readonly db: StoreDatabase;
  /** Resolves when everything that the database has committed is on the disk, which is waited for off the main thread. */
  readonly syncDatabase: () => Promise<void>;
  /** A file of bytes beside the database. It is made if it is missing, opened once, and closed with the others. */
  readonly bytes: (name: ByteFileName) => ByteFile;
  /** What this store shares with the others of the process. */
  readonly memory: StoreMemory;
  close(): void;
}

/** The names of all files of bytes that a store may have; their paths are the database's with `-<name>`. */
export const BYTE_FILE_NAMES = ["records", "creates", "applied"] as const;
export type ByteFileName = (typeof BYTE_FILE_NAMES)[number];

/** Opens a file of bytes, or creates it if it is missing. Through this port, tests let files fail. */
export type OpenBytes = (path: string) => ByteFile;

const byteFilePath = (path: string, name: ByteFileName): string => `${path}-${name}`;

/** The database at `path` together with the files beside it. */
export function storeFiles(
  db: StoreDatabase,
  path: string,
  memory: StoreMemory,
  openBytes: OpenBytes = openByteFile,
): StoreFiles {
  const open = new Map<string, ByteFile>();
  let log: ByteFile | undefined;
  return {
    db,
    memory,
    syncDatabase: async () => {
      log ??= openIfThere(`${path}-wal`);
      await log?.sync();
    },
    bytes: (name) => {
      const file = open.get(name) ?? openBytes(byteFilePath(path, name));
      open.set(name, file);
      return file;
    },
    close: () => {
      db.close();
      for (const file of open.values()) file.close();
      log?.close();
    },
  };
}

/** SQLite's log of what was committed. SQLite makes it with the first transaction, and deletes it when it closes the database. */
function openIfThere(path: string): ByteFile | undefined {
  return existsSync(path) ? openByteFileToRead(path) : undefined;
}

/** What the names of all files of a store end with: the database itself, those of SQLite beside it, and those of bytes. */
const FILE_ENDS = ["", "-wal", "-shm", ...BYTE_FILE_NAMES.map((name) => `-${name}`)];

/**
 * Renames files of bytes whose database is gone, since a new store would write over them: whoever moved the database
 * away may want to bring it back.
 */
export function keepLeftBehind(path: string): void {
  if (existsSync(path)) return;
  for (const name of BYTE_FILE_NAMES) {
    const file = byteFilePath(path, name);
    if (!existsSync(file)) continue;
    let n = 1;
    while (existsSync(`${file}.left-behind-${n}`)) n++;
    renameSync(file, `${file}.left-behind-${n}`);
  }
}

/** Renames all files of a closed store. */
export function renameStore(path: string, to: string): void {
  for (const end of FILE_ENDS) if (existsSync(path + end)) renameSync(path + end, to + end);
}

/** How many bytes all files of the store have. */
export const storeBytes = (path: string): number =>
  FILE_ENDS.reduce((sum, end) => sum + (statSync(path + end, { throwIfNoEntry: false })?.size ?? 0), 0);
