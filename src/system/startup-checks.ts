import { lookup } from "node:dns/promises";
import { accessSync, closeSync, constants, lstatSync, mkdirSync, openSync, readdirSync, statSync } from "node:fs";
import { devNull } from "node:os";
import { join, resolve } from "node:path";
import { AppError } from "../errors.ts";
import { chownAdvice, noAccess, thisUser } from "./file-access.ts";
import { isOutOfMemory, OUT_OF_MEMORY } from "./out-of-memory.ts";

/**
 * What every program here does before it starts, and how it says that it cannot start. An unusable environment is
 * reported like an invalid setting.
 */

/**
 * The least number of files that a process needs: three for each of some twelve stores, the log, and its connections.
 */
const OPEN_FILES_MIN = 64;
const OTHERS = 0o077;
/** Directories below DATA_DIR that earlier runs made, perhaps as another user. */
const DIRECTORIES = ["state", "operations"];
/** The file in DATA_DIR by which order services that share the directory trust each other. */
export const PEER_TOKEN = "peer-token";

const TOO_FEW_FILES =
  "This process may open too few files: raise its limit with ulimit -n 4096, LimitNOFILE= in systemd, or --ulimit nofile=4096 in Docker.";

/**
 * Orders are customers' data. What is written from now on is for this user alone, whatever the umask was: files get
 * mode 0600, directories 0700.
 */
export function writeForThisUserAlone(): void {
  process.umask(OTHERS);
}

/**
 * Throws CONFIG_INVALID if so few files may be opened that nothing would work and each part would blame something
 * else.
 */
export function checkOpenFiles(): void {
  const files: number[] = [];
  try {
    while (files.length < OPEN_FILES_MIN) files.push(openSync(devNull, "r"));
  } catch (e) {
    throw new AppError("CONFIG_INVALID", isTooManyFiles(e) ? TOO_FEW_FILES : sentence(e), {}, e);
  } finally {
    for (const file of files) closeSync(file);
  }
}

/** Throws CONFIG_INVALID if HOST has no address. To listen there would fail as if another program were listening. */
export async function checkHost(host: string): Promise<void> {
  try {
    await lookup(host);
  } catch (e) {
    throw new AppError("CONFIG_INVALID", `HOST is ${host}, for which this machine knows no address (${sentence(e)}).`, {}, e);
  }
}

/**
 * Makes the data directory if it is missing. Throws CONFIG_INVALID if it, or a directory kept in it, cannot be
 * written.
 */
export function prepareDataDir(dataDir: string): void {
  prepareDirectory(dataDir, "DATA_DIR");
  for (const name of DIRECTORIES) {
    const path = join(dataDir, name);
    if (statSync(path, { throwIfNoEntry: false })) prepareDirectory(path, "DATA_DIR");
  }
}

/**
 * Does the same for programs that may have nothing to write there. A missing directory is not made: its name is
 * probably mistyped.
 */
export function checkDataDir(dataDir: string): void {
  if (mayExist(dataDir)) prepareDataDir(dataDir);
}

function mayExist(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (e) {
    return codeOf(e) !== "ENOENT";
  }
}

/**
 * Throws CONFIG_INVALID if this user may not use what earlier runs made below DATA_DIR as another user: the log's
 * files, the directories of each log and of each process, and their lock files. All of them are checked, since it is
 * not known yet which ones this process will use. A store that belongs to another user concerns its partition alone
 * and is reported by whoever opens it.
 */
export function checkState(dataDir: string, logFiles: readonly string[]): void {
  requireAccess(...logFiles);
  for (const log of directoriesIn(join(dataDir, "state")))
    for (const claim of directoriesIn(log)) requireAccess(claim, join(claim, "lock"));
}

function directoriesIn(path: string): string[] {
  requireAccess(path);
  if (!statSync(path, { throwIfNoEntry: false })) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(path, name));
}

function requireAccess(...paths: readonly string[]): void {
  const why = noAccess(...paths);
  if (why !== undefined) throw new AppError("CONFIG_INVALID", `DATA_DIR cannot be used: ${why}`, { setting: "DATA_DIR" });
}

/** `setting` names the directory in the message. */
export function prepareDirectory(path: string, setting: string): void {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (e) {
    if (isTooManyFiles(e)) throw new AppError("CONFIG_INVALID", TOO_FEW_FILES, {}, e);
    throw new AppError("CONFIG_INVALID", `${setting} cannot be used: ${whyUnusable(e, resolve(path))}`, { setting, path }, e);
  }
}

/**
 * Which of the files that earlier runs left in the data directory others than this user can read or write. Whoever
 * opened them must close them.
 */
export function openToOthers(dataDir: string): string[] {
  const isOpen = (path: string) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & OTHERS) !== 0;
  // Windows has no such modes. Nobody gets past a closed directory.
  if (process.platform === "win32" || !isOpen(dataDir)) return [];
  return [...DIRECTORIES, "log.sqlite", PEER_TOKEN].map((name) => join(dataDir, name)).filter(isOpen);
}

/** The sentence for a program that cannot start. Throws `e` itself if it is a defect, which needs its stack. */
export function startFailure(e: unknown): string {
  if (e instanceof AppError) return e.message;
  if (isTooManyFiles(e)) return TOO_FEW_FILES;
  if (isOutOfMemory(e)) return OUT_OF_MEMORY;
  throw e;
}

/** Says to people why a file or a directory cannot be used. */
export const fileSentence = (e: unknown, path: string): string =>
  isTooManyFiles(e) ? TOO_FEW_FILES : `A file cannot be used: ${whyUnusable(e, resolve(path))}`;

const codeOf = (e: unknown): string => String((e as NodeJS.ErrnoException | null)?.code);
const isTooManyFiles = (e: unknown): boolean => ["EMFILE", "ENFILE"].includes(codeOf(e));
const sentence = (e: unknown): string => (e instanceof Error ? e.message : String(e));

const whyUnusable = (e: unknown, path: string): string => {
  switch (codeOf(e)) {
    case "EEXIST":
    case "ENOTDIR":
      return `${path} is a file, lies in one, or is a link that leads nowhere; name a directory.`;
    case "EACCES":
    case "EPERM":
      return `${thisUser()} may not write in ${path}; name another directory, or ${chownAdvice(path, true)}`;
    case "EROFS":
    case "SQLITE_READONLY":
      return `${path} lies on a file system that is read-only; name a directory that can be written.`;
    case "ENOENT":
    case "ELOOP":
      return `${path} cannot be made; name another directory.`;
    case "ENOSPC":
    case "EDQUOT":
    case "SQLITE_FULL":
      return `there is no room left for ${path}; make some, or name another directory.`;
    default:
      return `${path}: ${sentence(e)}.`;
  }
};
