import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { withFile } from "./file-failures.ts";

/**
 * Replaces a file. When this returns, its whole new content is on the disk; if it is interrupted, the file keeps its
 * old content. Throws FILE_UNUSABLE where the file cannot be written, and then removes what it had written.
 */
export function writeDurably(path: string, bytes: string | Uint8Array): void {
  const next = `${path}.new`;
  withFile(path, () => {
    const file = openSync(next, "w");
    try {
      const all = Buffer.from(bytes as Uint8Array);
      for (let at = 0; at < all.length;) at += writeSync(file, all, at);
      fsyncSync(file);
    } catch (e) {
      rmSync(next, { force: true });
      throw e;
    } finally {
      closeSync(file);
    }
    renameSync(next, path);
  });
}
