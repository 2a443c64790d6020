import { rmSync, statSync, writeFileSync } from "node:fs";

/**
 * What the name of the file ends with that says why the store's partition halted. It is one of the store's files, so it
 * is moved and removed with them.
 */
export const HALT_MARK_END = "-halted";

/** Keeps a sentence for whoever judges what the partition left. Even a file without the sentence marks the store. */
export const writeHaltMark = (path: string, why: string): void =>
  writeFileSync(path + HALT_MARK_END, `${why}\n`, { flush: true });

/** Throws if that cannot be found out. */
export const hasHaltMark = (path: string): boolean => statSync(path + HALT_MARK_END, { throwIfNoEntry: false }) !== undefined;

/** Returns false if the mark is still there. That only keeps the store for longer. */
export function removeHaltMark(path: string): boolean {
  try {
    rmSync(path + HALT_MARK_END, { force: true });
    return true;
  } catch {
    return false;
  }
}
