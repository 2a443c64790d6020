import { mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import type { NewUuid } from "../system/random.ts";
import { LISTED_OBJECTS_MAX, type ObjectStorage, type StoredObject } from "./object-storage.ts";
import { listedTooMany, storageFailed, tooLarge } from "./storage-failures.ts";

/** The files are for this user alone: they hold customers' data. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/**
 * Objects as files in a directory. One that is being written has another name; it gets its own once all of it is on
 * the disk. What a crash leaves of it is listed, under that other name.
 */
export class FileStorage implements ObjectStorage {
  readonly url: string;

  constructor(
    private readonly directory: string,
    private readonly newUuid: NewUuid,
  ) {
    this.url = `file://${directory}`;
  }

  async list(prefix: string): Promise<readonly StoredObject[]> {
    const found: StoredObject[] = [];
    try {
      // A prefix may end in the middle of a name, so its directory is looked through.
      await this.#listIn(join(this.directory, prefix.endsWith("/") ? prefix : dirname(prefix)), prefix, found);
    } catch (e) {
      throw storageFailed(this.url, `Listing ${prefix}`, e);
    }
    return found;
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(name);
    const unfinished = `${path}.unfinished-${this.newUuid()}`;
    try {
      await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
      const file = await open(unfinished, "wx", FILE_MODE);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(unfinished, path);
      await syncDirectory(dirname(path));
    } catch (e) {
      await rm(unfinished, { force: true }).catch(() => undefined);
      throw storageFailed(this.url, `Writing ${name}`, e);
    }
  }

  async get(name: string, bytes_max: number): Promise<Uint8Array | undefined> {
    try {
      const file = await open(this.#path(name), "r");
      try {
        const { size } = await file.stat();
        if (size > bytes_max) throw tooLarge(this.url, name, size, bytes_max);
        return await file.readFile();
      } finally {
        await file.close();
      }
    } catch (e) {
      if (isMissing(e)) return undefined;
      throw storageFailed(this.url, `Reading ${name}`, e);
    }
  }

  async remove(name: string): Promise<void> {
    try {
      await rm(this.#path(name), { force: true });
      await removeEmpty(dirname(this.#path(name)), this.directory);
    } catch (e) {
      throw storageFailed(this.url, `Removing ${name}`, e);
    }
  }

  #path(name: string): string {
    return join(this.directory, name);
  }

  async #listIn(directory: string, prefix: string, found: StoredObject[]): Promise<void> {
    const entries = await readdir(directory, { withFileTypes: true }).catch((e: unknown) => {
      if (isMissing(e)) return [];
      throw e;
    });
    for (const entry of entries) {
      const path = join(directory, entry.name);
      const name = relative(this.directory, path).replaceAll(sep, "/");
      if (entry.isDirectory()) {
        if (`${name}/`.startsWith(prefix) || prefix.startsWith(`${name}/`)) await this.#listIn(path, prefix, found);
        continue;
      }
      if (!name.startsWith(prefix)) continue;
      if (found.length >= LISTED_OBJECTS_MAX) throw listedTooMany(this.url, prefix, LISTED_OBJECTS_MAX);
      const about = await stat(path).catch((e: unknown) => {
        // Somebody removed it meanwhile.
        if (isMissing(e)) return undefined;
        throw e;
      });
      if (about) found.push({ name, bytes: about.size, modified_ms: about.mtimeMs });
    }
  }
}

const isMissing = (e: unknown): boolean => (e as NodeJS.ErrnoException | null)?.code === "ENOENT";

/** A new name is on the disk once its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removes the directory and those above it, below `top`, as far as nothing is in them. */
async function removeEmpty(directory: string, top: string): Promise<void> {
  for (let path = directory; path.length > top.length; path = dirname(path)) {
    try {
      await rmdir(path);
    } catch {
      return;
    }
  }
}
