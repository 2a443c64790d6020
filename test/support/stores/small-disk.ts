import { mkdtempSync, rmSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A small file system that a test can fill; it is removed when the scope is left (`using`). */
export interface SmallDisk extends Disposable {
  readonly path: string;
  readonly ballast: Ballast;
}

/** A tmpfs of `bytes_max`, or why there can be none: only root may mount one. */
export function smallDisk(bytes_max: number): SmallDisk | { readonly unavailable: string } {
  const path = mkdtempSync(join(tmpdir(), "order-processing-disk-"));
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${bytes_max}`, "tmpfs", path]);
  if (mounted.exitCode !== 0) {
    rmSync(path, { recursive: true });
    return { unavailable: `A tmpfs cannot be mounted here: ${String(mounted.stderr).trim()}` };
  }
  return {
    path,
    ballast: new Ballast(path),
    [Symbol.dispose]: () => {
      // Lazily: a process that was just killed may hold a file a moment longer.
      Bun.spawnSync(["umount", "-l", path]);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

const CHUNK_BYTES = 4 << 20;
const CHUNK_BYTES_MIN = 512;

/** A file that takes up all free space. */
export class Ballast {
  readonly #path: string;

  constructor(dir: string) {
    this.#path = join(dir, "ballast");
  }

  /** Takes whatever room there is; another call takes what has been freed meanwhile. */
  async fill(): Promise<void> {
    await using file = await open(this.#path, "a");
    for (let bytes = CHUNK_BYTES; bytes >= CHUNK_BYTES_MIN;) {
      try {
        const { bytesWritten } = await file.write(Buffer.alloc(bytes));
        if (bytesWritten < bytes) bytes /= 2;
      } catch (e) {
        if ((e as { code?: string }).code !== "ENOSPC") throw e;
        bytes /= 2;
      }
    }
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}
