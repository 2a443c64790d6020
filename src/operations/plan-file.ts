import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../errors.ts";
import { FileLock } from "../file-lock.ts";

/** A run's name: it stands in headers, file names and, on a broker, in the id of a producer. */
export const OPERATION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What every plan says: whose it is. */
export interface PlanHead {
  readonly command: string;
  readonly id: string;
  /** Of the log it was made for. */
  readonly logId: string;
}

/**
 * A run's plan on disk, `<data dir>/operations/<command>-<id>.json`: the offsets it was given at its start, so that going on after an
 * interruption means the same records. How far it is, the target itself tells. One process at a time holds it.
 */
export class PlanFile<Plan extends PlanHead> implements Disposable {
  readonly path: string;
  readonly #lock: FileLock;

  /** Throws OPERATION_REFUSED while another process runs the same. */
  constructor(
    readonly dataDir: string,
    readonly command: string,
    readonly id: string,
  ) {
    const directory = join(dataDir, "operations");
    mkdirSync(directory, { recursive: true });
    this.path = join(directory, `${command}-${id}.json`);
    this.#lock = new FileLock(`${this.path}.lock`);
    if (!this.#lock.tryTake()) throw new AppError("OPERATION_REFUSED", `Another process runs ${command} ${id} now.`);
  }

  /** The plan of an earlier start; undefined where there is none. Throws OPERATION_REFUSED where it belongs to another log. */
  read(logId: string): Plan | undefined {
    if (!existsSync(this.path)) return undefined;
    const plan = JSON.parse(readFileSync(this.path, "utf8")) as Plan;
    if (plan.logId !== logId) {
      throw new AppError(
        "OPERATION_REFUSED",
        `${this.path} was made for the log ${plan.logId}, this is ${logId}: take another --id.`,
      );
    }
    return plan;
  }

  /** On the disk, whole, when this returns. */
  write(plan: Plan): void {
    const file = openSync(`${this.path}.new`, "w");
    writeSync(file, JSON.stringify(plan, undefined, 2));
    fsyncSync(file);
    closeSync(file);
    renameSync(`${this.path}.new`, this.path);
  }

  [Symbol.dispose](): void {
    this.#lock.release();
  }
}
