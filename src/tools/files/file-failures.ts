import { AppError } from "../../errors.ts";
import { fileSentence } from "../../system/before-start.ts";

/** Does something with a file or a directory. Throws FILE_UNUSABLE, a sentence that names it, where the file system does not let it. */
export function withFile<T>(path: string, use: () => T): T {
  try {
    return use();
  } catch (e) {
    throw fileFailure(e, path) ?? e;
  }
}

/** Undefined where it is none, or does not say of which file: then it is a defect, which needs its stack. */
export function fileFailure(e: unknown, path = (e as NodeJS.ErrnoException | null)?.path): AppError | undefined {
  const code = (e as { code?: unknown } | null)?.code;
  if (e instanceof AppError || typeof code !== "string" || !FILE_CODES.test(code) || typeof path !== "string") return undefined;
  return new AppError("FILE_UNUSABLE", fileSentence(e, path), { path }, e);
}

/** Of the operating system, and of SQLite for a file that it locks. */
const FILE_CODES = /^(E[A-Z0-9]+$|SQLITE_(FULL|READONLY|CANTOPEN|IOERR|PERM|NOTADB|CORRUPT))/;
