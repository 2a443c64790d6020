import { existsSync } from "node:fs";
import { AppError } from "../../../errors.ts";
import { cannotBeOpened, isDamage, isLocked } from "../store-failures.ts";

/** Why a store cannot be read, in sentences for people. */

export const notAStore = (path: string): AppError =>
  new AppError("FILE_UNUSABLE", `${path} is no store: it is a database of something else.`, { path });

/** What is thrown for a failure while the store is read. An error that is none of a store or a file is a defect, and stays. */
export function storeError(path: string, e: unknown): unknown {
  if (e instanceof AppError || !(e instanceof Error)) return e;
  const code = String((e as { code?: unknown }).code);
  if (isLocked(e)) return new AppError("STORE_FAILED", heldAlone(path), { path }, e);
  if (code === "SQLITE_NOTADB")
    return new AppError("STORE_FAILED", `${path} is no database of SQLite, or the beginning of one is damaged.`, { path }, e);
  if (isDamage(e)) return new AppError("STORE_FAILED", damaged(path, e), { path }, e);
  if (code === "ENOENT") return new AppError("FILE_UNUSABLE", `There is no ${path}.`, { path }, e);
  if (cannotBeOpened(e) && existsSync(`${path}-wal`) && !existsSync(`${path}-shm`))
    return new AppError("STORE_FAILED", leftBehind(path), { path }, e);
  if (cannotBeOpened(e) || code === "EACCES" || code === "EPERM")
    return new AppError("FILE_UNUSABLE", `${path} cannot be read by this user, or something else is in its place.`, { path }, e);
  return /^(SQLITE_|E[A-Z0-9]+$)/.test(code)
    ? new AppError("STORE_FAILED", `${path} cannot be read: ${e.message}.`, { path }, e)
    : e;
}

const heldAlone = (path: string): string =>
  `${path} is held by a program that lets no other one read it, which no service does: find it with lsof, and end it.`;

const leftBehind = (path: string): string =>
  `${path} was not closed: what was saved last is in ${path}-wal, which only its service can read. Start the service, stop it, and ask again.`;

/** What SQLite finds damaged has no cause; what is damaged beside it names the row or the block, and why. */
function damaged(path: string, e: Error & { readonly code: string }): string {
  const why = e.cause instanceof Error ? e.cause.message : e.cause;
  const cause = typeof why === "string" ? ` (${why})` : "";
  return `${path} is damaged: ${e.message}${cause}. A service that comes across it sets the store aside and rebuilds it from the log.`;
}
