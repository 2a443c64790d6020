import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";

/** The file has its whole new content, and it is on the disk, when this returns; interrupted, it has its old one. */
export function writeDurably(path: string, bytes: string | Uint8Array): void {
  const file = openSync(`${path}.new`, "w");
  try {
    const all = Buffer.from(bytes as Uint8Array);
    for (let at = 0; at < all.length;) at += writeSync(file, all, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
}
