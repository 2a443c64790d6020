const sqliteCode = (e: unknown): string => (e instanceof Error ? String((e as { code?: unknown }).code) : "");

/**
 * Whether the store failed: a full disk, a disk that cannot be read, or a lock that is held too long. It may work
 * again later.
 */
export const isStoreFailure = (e: unknown): boolean => sqliteCode(e).startsWith("SQLITE_");

/** Whether another program holds the store's lock. */
export const isLocked = (e: unknown): boolean => /^SQLITE_(BUSY|LOCKED)/.test(sqliteCode(e));

/** Whether the file could not be opened at all. */
export const cannotBeOpened = (e: unknown): boolean => sqliteCode(e).startsWith("SQLITE_CANTOPEN");

/**
 * Whether SQLite found a file damaged (https://www.sqlite.org/rescode.html#corrupt). Trying again does not help then.
 */
export const isDamage = (e: unknown): e is Error & { readonly code: string } => /^SQLITE_(CORRUPT|NOTADB)/.test(sqliteCode(e));

/** The error for a row that cannot be read, although SQLite takes it for a row. */
export const damagedRow = (what: string, cause: unknown): Error =>
  Object.assign(new Error(`${what} cannot be read`, { cause }), { code: "SQLITE_CORRUPT" });
