import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { withFile } from "./file-failures.ts";

/**
 * The file has its whole new content, and it is on the disk, when this returns; interrupted, it has its old one. Throws FILE_UNUSABLE
 * where it cannot be written, and leaves nothing that takes room.
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
