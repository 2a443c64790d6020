import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system of its own that can be filled; it goes with the scope (`using`). */
export interface SmallDisk extends Disposable {
  readonly path: string;
  /** Leaves no byte free. */
  fill(): void;
  /** Takes back what `fill` wrote. */
  makeRoom(): void;
}

const CHUNK = Buffer.alloc(64 * 1024);

/** A tmpfs of `bytes_max`, or why none can be had: only root may mount one. */
export function smallDisk(bytes_max: number): SmallDisk | { readonly unavailable: string } {
  const path = mkdtempSync(join(tmpdir(), "order-processing-disk-"));
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${bytes_max}`, "tmpfs", path]);
  if (mounted.exitCode !== 0) {
    rmSync(path, { recursive: true });
    return { unavailable: `A tmpfs cannot be mounted here: ${String(mounted.stderr).trim()}` };
  }
  const ballast = join(path, "ballast");
  return {
    path,
    fill: () => {
      const file = openSync(ballast, "w");
      try {
        for (let left = freeBytes(path); left > 0; left = freeBytes(path))
          writeSync(file, CHUNK, 0, Math.min(left, CHUNK.length));
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code !== "ENOSPC") throw e;
      } finally {
        closeSync(file);
      }
    },
    makeRoom: () => rmSync(ballast, { force: true }),
    [Symbol.dispose]: () => {
      // Lazily: a process that was just killed may hold a file a moment longer.
      Bun.spawnSync(["umount", "-l", path]);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

function freeBytes(path: string): number {
  const { bsize, bavail } = statfsSync(path);
  return bsize * bavail;
}
