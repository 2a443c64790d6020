import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new directory under the system's temp directory, for `await using`: it is removed when the scope is left. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

const existing = new Set<string>();

export async function tempDir(): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), "order-processing-data-"));
  existing.add(path);
  return { path, [Symbol.asyncDispose]: () => remove(path) };
}

/** Removes the directories of scopes that were never left (tests that timed out). */
export async function removeAllTempDirs(): Promise<void> {
  await Promise.all([...existing].map(remove));
}

async function remove(path: string): Promise<void> {
  existing.delete(path);
  await rm(path, { recursive: true, force: true });
}
