import { AppError, isAppError } from "../errors.ts";

/** The error of a storage that could not do something. */
export const storageFailed = (url: string, what: string, e: unknown): AppError =>
  isAppError(e)
    ? e
    : new AppError("STORAGE_FAILED", `${what} failed at ${url}: ${e instanceof Error ? e.message : String(e)}`, {}, e);

export const tooLarge = (url: string, name: string, bytes: number, bytes_max: number): AppError =>
  new AppError("STORAGE_FAILED", `${name} at ${url} has ${bytes} bytes, more than the ${bytes_max} that it may have.`);

export const listedTooMany = (url: string, prefix: string, objects_max: number): AppError =>
  new AppError(
    "STORAGE_FAILED",
    `There are more than ${objects_max} objects below ${prefix} at ${url}; nobody looks through them.`,
  );
