import { accessSync, constants, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Files and directories that another user left, such as a person who once ran a service with sudo. */

/**
 * Names the first of the paths, or of the directories they lie in, that this user may not read and write, and says
 * what to do. Undefined if there is none. Missing files are skipped.
 */
export function noAccess(...paths: readonly string[]): string | undefined {
  for (const path of paths) {
    const why = whyClosed(resolve(path));
    if (why !== undefined) return why;
  }
  return undefined;
}

/** Does the same for an SQLite database, which also makes files beside its own. */
export const noAccessToDatabase = (path: string): string | undefined =>
  noAccess(dirname(path), path, `${path}-wal`, `${path}-shm`);

export const thisUser = (): string => (process.getuid === undefined ? "this user" : `this user (uid ${process.getuid()})`);

/** The command that makes this user the owner. */
export const chownAdvice = (path: string, isDirectory: boolean): string =>
  process.getuid === undefined
    ? "give it to this user"
    : `give it to this user: chown ${isDirectory ? "-R " : ""}${process.getuid()} ${path}`;

function whyClosed(path: string): string | undefined {
  let found: Stats;
  try {
    found = statSync(path);
  } catch (e) {
    return isDenied(e) && dirname(path) !== path ? whyClosed(dirname(path)) : undefined;
  }
  const isDirectory = found.isDirectory();
  try {
    accessSync(path, constants.R_OK | constants.W_OK | (isDirectory ? constants.X_OK : 0));
    return undefined;
  } catch (e) {
    if (!isDenied(e)) return undefined;
  }
  if (found.uid === process.getuid?.())
    return `${thisUser()} may not read and write ${path}, although it is its own: chmod u+rw${isDirectory ? "x" : ""} ${path}`;
  return `${thisUser()} may not read and write ${path}, which is uid ${found.uid}'s; ${chownAdvice(path, isDirectory)}`;
}

const isDenied = (e: unknown): boolean => ["EACCES", "EPERM"].includes(String((e as NodeJS.ErrnoException | null)?.code));
