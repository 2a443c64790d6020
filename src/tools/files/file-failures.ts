import { AppError } from "../../errors.ts";
import { fileSentence } from "../../system/startup-checks.ts";

/** Calls `use`; a failure of the file system in it is thrown as FILE_UNUSABLE, with a sentence that names the path. */
export function withFile<T>(path: string, use: () => T): T {
  try {
    return use();
  } catch (e) {
    throw fileFailure(e, path) ?? e;
  }
}

/** FILE_UNUSABLE for a file system's failure; undefined for any other error, which is a defect and needs its stack. */
export function fileFailure(e: unknown, path = (e as NodeJS.ErrnoException | null)?.path): AppError | undefined {
  const code = (e as { code?: unknown } | null)?.code;
  if (e instanceof AppError || typeof code !== "string" || !FILE_CODES.test(code) || typeof path !== "string") return undefined;
  return new AppError("FILE_UNUSABLE", fileSentence(e, path), { path }, e);
}

/** The codes of the operating system, and those of SQLite for a lock file. */
const FILE_CODES = /^(E[A-Z0-9]+$|SQLITE_(FULL|READONLY|CANTOPEN|IOERR|PERM|NOTADB|CORRUPT))/;
