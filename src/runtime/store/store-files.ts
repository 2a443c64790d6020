import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { basename } from "node:path";
import { type ByteFile, openByteFile, openByteFileToRead } from "./byte-file.ts";
import { type PinnedDatabase, pinDatabase } from "./copy/pinned-database.ts";
import { HALT_MARK_END, removeHaltMark } from "./halt-mark.ts";
import type { StoreDatabase } from "./store-database.ts";
import type { StoreMemory } from "./store-memory.ts";

/** The files of one store. The database says which bytes of the others belong to the store. */
export interface StoreFiles {
  readonly db: StoreDatabase;
  /** Resolves when everything that the database has committed is on the disk, which is waited for off the main thread. */
  readonly syncDatabase: () => Promise<void>;
  /** A file of bytes beside the database. It is made if it is missing, opened once, and closed with the others. */
  readonly bytes: (name: ByteFileName) => ByteFile;
  /** The rows as they are committed now, to be read while the store goes on. */
  readonly pin: () => PinnedDatabase;
  /** What this store shares with the others of the process. */
  readonly memory: StoreMemory;
  /** A number for the log, the topic and the partition that the store is of; undefined if these are not known. */
  readonly identity?: number | undefined;
  /** Notes that the partition runs, whatever it once halted for. Absent where halts leave no mark. */
  readonly forgetHalt?: () => void;
  close(): void;
}

/** The names of all files of bytes that a store may have; their paths are the database's with `-<name>`. */
export const BYTE_FILE_NAMES = ["records", "creates", "applied"] as const;
export type ByteFileName = (typeof BYTE_FILE_NAMES)[number];

/** Opens a file of bytes, or creates it if it is missing. Through this port, tests let files fail. */
export type OpenBytes = (path: string) => ByteFile;

export const byteFilePath = (path: string, name: ByteFileName): string => `${path}-${name}`;

export interface StoreFilesOptions {
  readonly memory: StoreMemory;
  readonly openBytes?: OpenBytes | undefined;
  readonly identity?: number;
}

/** The database at `path` together with the files beside it. */
export function storeFiles(
  db: StoreDatabase,
  path: string,
  { memory, openBytes = openByteFile, identity }: StoreFilesOptions,
): StoreFiles {
  const open = new Map<string, ByteFile>();
  let log: ByteFile | undefined;
  let mayBeMarked = true;
  return {
    db,
    memory,
    identity,
    syncDatabase: async () => {
      log ??= openIfThere(`${path}-wal`);
      await log?.sync();
    },
    pin: () => pinDatabase(path),
    bytes: (name) => {
      const file = open.get(name) ?? openBytes(byteFilePath(path, name));
      open.set(name, file);
      return file;
    },
    forgetHalt: () => {
      if (mayBeMarked) mayBeMarked = !removeHaltMark(path);
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

/** What the names of all files of a store end with: the database itself, those of SQLite beside it, those of bytes, and the mark. */
const FILE_ENDS = ["", "-wal", "-shm", ...BYTE_FILE_NAMES.map((name) => `-${name}`), HALT_MARK_END];

/** The names of the files of bytes beside the database that have something in them. */
export const fullByteFiles = (path: string): string[] =>
  BYTE_FILE_NAMES.map((name) => byteFilePath(path, name))
    .filter((file) => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0)
    .map((file) => basename(file));

/** Renames all files of a closed store. */
export function renameStore(path: string, to: string): void {
  for (const end of FILE_ENDS) if (existsSync(path + end)) renameSync(path + end, to + end);
}

/** Removes all files of a closed store. */
export function removeStore(path: string): void {
  for (const end of FILE_ENDS) rmSync(path + end, { force: true });
}

/** Whether there is any of the store's files. */
export const hasFiles = (path: string): boolean =>
  FILE_ENDS.some((end) => statSync(path + end, { throwIfNoEntry: false }) !== undefined);

/** When the store was last written, on the wall clock. Who only looks into it has SQLite make its two files, without content. */
export function writtenAt_ms(path: string): number {
  const written = FILE_ENDS.map((end) => ({ end, file: statSync(path + end, { throwIfNoEntry: false }) })).filter(
    ({ end, file }) => end !== "-shm" && !(end === "-wal" && file?.size === 0),
  );
  return Math.max(...written.map(({ file }) => file?.mtimeMs ?? 0));
}

/** How many bytes all files of the store have. */
export const storeBytes = (path: string): number =>
  FILE_ENDS.reduce((sum, end) => sum + (statSync(path + end, { throwIfNoEntry: false })?.size ?? 0), 0);
