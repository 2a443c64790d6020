import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../errors.ts";
import { FileLock } from "../../system/file-lock.ts";
import { withFile } from "./file-failures.ts";

/** The lock of an operation. Throws OPERATION_REFUSED while another process with this data directory holds it. */
export function lockOperation(dataDir: string, what: string): Disposable {
  const directory = join(dataDir, "operations");
  withFile(directory, () => mkdirSync(directory, { recursive: true }));
  const lock = new FileLock(join(directory, `${what}.lock`));
  if (!withFile(lock.path, () => lock.tryTake())) throw new AppError("OPERATION_REFUSED", `Another process runs ${what} now.`);
  return { [Symbol.dispose]: () => lock.release() };
}
