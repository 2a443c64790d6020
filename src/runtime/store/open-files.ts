import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { BYTE_FILE_NAMES } from "./store-files.ts";

/** How many files are left to connections, so that a process whose stores need too many files still answers. */
const FILES_LEFT_MIN = 64;
/** A store's database, its write-ahead log and the index of that log, and its files of bytes. */
const FILES_PER_STORE = 3 + BYTE_FILE_NAMES.length;

/**
 * The limit; null before it is read, undefined if the system does not report it as Linux does. It is read once, while
 * a file can still be opened to read it.
 */
let limit: number | undefined | null = null;

function fileLimit(): number | undefined {
  if (limit === null) {
    try {
      const found = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
      limit = found === undefined ? undefined : Number(found);
    } catch {
      limit = undefined;
    }
  }
  return limit;
}

function openFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch (e) {
    return isOutOfFiles(e) ? Number.POSITIVE_INFINITY : undefined;
  }
}

const isOutOfFiles = (e: unknown): boolean => /^(EMFILE|ENFILE)$/.test(String((e as { code?: unknown }).code));

function hasNoFileLeft(): boolean {
  try {
    closeSync(openSync("/dev/null", "r"));
    return false;
  } catch (e) {
    return isOutOfFiles(e);
  }
}

/** Counting takes a millisecond where there are many, and hundreds of stores ask each second for which there is no room. */
const COUNTED_AGAIN_MS = 500;
let counted: { readonly at_ms: number; readonly why: string } | undefined;

/**
 * Why no store should be opened now, and what to do; undefined if there is room for one more. Without `now_ms`, on the
 * process's clock, the files are counted anew.
 */
export function openFilesShortage(now_ms?: number): string | undefined {
  if (counted !== undefined && now_ms !== undefined && now_ms - counted.at_ms < COUNTED_AGAIN_MS) return counted.why;
  const why = countedShortage();
  counted = why === undefined || now_ms === undefined ? undefined : { at_ms: now_ms, why };
  return why;
}

function countedShortage(): string | undefined {
  const limit_files = fileLimit();
  const open = openFiles();
  const isShort =
    limit_files !== undefined && open !== undefined ? open + FILES_PER_STORE + FILES_LEFT_MIN > limit_files : hasNoFileLeft();
  if (!isShort) return undefined;
  if (limit_files === undefined) return "too many open files: raise the limit (ulimit -n)";
  const raised = 2 ** Math.ceil(Math.log2(2 * limit_files));
  return `too many open files, of which this process may have ${limit_files}: raise the limit (ulimit -n) to ${raised}`;
}
