import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../errors.ts";
import { onlyOne } from "./only-one.ts";
import { writeDurably } from "./write-durably.ts";

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
  private constructor(
    readonly path: string,
    private readonly lock: Disposable,
  ) {}

  /** Throws OPERATION_REFUSED while another process runs the same. */
  static hold<Plan extends PlanHead>(dataDir: string, command: string, id: string): PlanFile<Plan> {
    const lock = onlyOne(dataDir, `${command}-${id}`);
    return new PlanFile<Plan>(join(dataDir, "operations", `${command}-${id}.json`), lock);
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
    writeDurably(this.path, JSON.stringify(plan, undefined, 2));
  }

  [Symbol.dispose](): void {
    this.lock[Symbol.dispose]();
  }
}
