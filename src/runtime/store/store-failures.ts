import { isOutOfMemory } from "../../system/out-of-memory.ts";

/** SQLite's code (SQLITE_FULL), or the system's for a file (ENOSPC). */
const codeOf = (e: unknown): string => (e instanceof Error ? String((e as { code?: unknown }).code) : "");

/**
 * Whether the store failed, its database or a file beside it: a full disk, a disk that cannot be read, or a lock that
 * is held too long. It may work again later.
 */
export const isStoreFailure = (e: unknown): boolean => /^(SQLITE_|E(?!RR_)[A-Z0-9]+$)/.test(codeOf(e));

/** Whether another program holds the store's lock. */
export const isLocked = (e: unknown): boolean => /^SQLITE_(BUSY|LOCKED)/.test(codeOf(e));

/** Whether there is no such file. */
export const isMissing = (e: unknown): boolean => codeOf(e) === "ENOENT";

/** Whether the file could not be opened at all. */
export const cannotBeOpened = (e: unknown): boolean => codeOf(e).startsWith("SQLITE_CANTOPEN");

/**
 * Whether SQLite found a file damaged (https://www.sqlite.org/rescode.html#corrupt). Trying again does not help then.
 * SQLITE_ERROR tells of a schema that our statements do not fit, since they are fixed.
 */
export const isDamage = (e: unknown): e is Error & { readonly code: string } =>
  /^SQLITE_(CORRUPT.*|NOTADB.*|ERROR)$/.test(codeOf(e));

/** Whether bytes are not what was written, as reading them threw, and not for want of memory. */
export const isMisread = (e: unknown): boolean => e instanceof RangeError && !isOutOfMemory(e);

/** The error for a store whose parts do not belong together. */
export const damagedStore = (message: string): Error => Object.assign(new Error(message), { code: "SQLITE_CORRUPT" });

/** The error for a row that cannot be read, although SQLite takes it for a row. */
export const damagedRow = (what: string, cause: unknown): Error =>
  Object.assign(new Error(`${what} cannot be read`, { cause }), { code: "SQLITE_CORRUPT" });
