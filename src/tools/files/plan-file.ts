import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../errors.ts";
import { lockOperation } from "./operation-lock.ts";
import { writeDurably } from "./write-durably.ts";

/** A run's id goes into record headers, file names and, on a broker, a producer's transactional id. */
export const OPERATION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What every plan begins with: the run and the log that it belongs to. */
export interface PlanHead {
  readonly command: string;
  readonly id: string;
  /** The id of the log that the plan was made for. */
  readonly logId: string;
}

/**
 * A run's plan on disk, `<data dir>/operations/<command>-<id>.json`. It keeps the offsets of the run's start, so that
 * a resumed run moves the same records; how far the run is, the target itself tells. One process at a time holds the
 * file.
 *
 * ```
 *  hold(), which takes the lock ──▶ held ──dispose──▶ released
 * ```
 */
export class PlanFile<Plan extends PlanHead> implements Disposable {
  private constructor(
    readonly path: string,
    private readonly lock: Disposable,
  ) {}

  /** Throws OPERATION_REFUSED while another process holds the same plan. */
  static hold<Plan extends PlanHead>(dataDir: string, command: string, id: string): PlanFile<Plan> {
    const lock = lockOperation(dataDir, `${command}-${id}`);
    return new PlanFile<Plan>(join(dataDir, "operations", `${command}-${id}.json`), lock);
  }

  /** The plan that an earlier start wrote, if any. Throws OPERATION_REFUSED where it belongs to another log. */
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

  /** When this returns, the whole plan is on the disk. */
  write(plan: Plan): void {
    writeDurably(this.path, JSON.stringify(plan, undefined, 2));
  }

  [Symbol.dispose](): void {
    this.lock[Symbol.dispose]();
  }
}
