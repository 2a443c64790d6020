import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runBounded, spawnTied } from "../support/programs/tied-process.ts";

const mount_ms_max = 10_000;

/**
 * Everything that a run keeps on disk. If the run is killed, a keeper process unmounts and removes it. Otherwise
 * `dispose` removes it, and keeps the processes' logs if they are wanted.
 */
export class WorkDir {
  readonly logs: string;
  readonly #mounted: string[] = [];
  readonly #keeper;

  private constructor(readonly path: string) {
    this.logs = join(path, "logs");
    // After a second, the keepers of the run's processes have killed those, so nothing is being written any more.
    const onOrphaned = 'sleep 1; for dir in "$1"/*/; do umount -l "$dir"; done; rm -rf "$1"';
    this.#keeper = spawnTied(["sleep", "infinity"], { onOrphaned, onOrphanedArgs: [path] });
  }

  static async make(): Promise<WorkDir> {
    const dir = new WorkDir(await mkdtemp(join(tmpdir(), "order-processing-soak-")));
    await mkdir(dir.logs);
    return dir;
  }

  /** Makes a data directory in the work directory. */
  async dataDir(name: string): Promise<string> {
    const path = join(this.path, name);
    await mkdir(path, { recursive: true });
    return path;
  }

  /**
   * Mounts a file system of its own on the directory. Resolves with undefined if it worked, otherwise with the reason
   * why not.
   */
  async mount(path: string, megabytes: number): Promise<string | undefined> {
    const run = await runBounded(["mount", "-t", "tmpfs", "-o", `size=${megabytes}m,mode=700`, "soak", path], mount_ms_max);
    if (!run.ok) return run.output.trim() || "there is no `mount`";
    this.#mounted.push(path);
    return undefined;
  }

  isMounted(path: string): boolean {
    return this.#mounted.includes(path);
  }

  /** Unmounts and removes everything, except for the logs if they are to be kept. */
  async dispose(keepLogs: boolean): Promise<void> {
    for (const path of this.#mounted) await runBounded(["umount", "-l", path], mount_ms_max);
    this.#keeper.kill("SIGKILL");
    await this.#keeper.exited;
    if (!keepLogs) return rm(this.path, { recursive: true, force: true });
    for (const name of await readdir(this.path))
      if (name !== "logs") await rm(join(this.path, name), { recursive: true, force: true });
  }
}

/** Empties a directory, which may be a mount point. */
export async function empty(path: string): Promise<void> {
  for (const name of await readdir(path)) await rm(join(path, name), { recursive: true, force: true });
}
