import { AppError } from "../errors.ts";
import type { Config } from "../config/config.ts";
import type { NewUuid } from "../system/random.ts";
import type { OperationEnvironment } from "./environment.ts";
import { fileFailure } from "./files/file-failures.ts";
import type { Console } from "./terminal/progress.ts";

export const EXIT_OK = 0;
/** Some of what should have arrived did not, or the command gave up. */
export const EXIT_FAILED = 1;
/** Nothing was done. */
export const EXIT_USAGE = 2;
/** The code by which a shell reports a process that SIGINT ended. */
export const EXIT_INTERRUPTED = 130;

export interface CommandContext {
  readonly config: Config;
  readonly env: OperationEnvironment;
  readonly console: Console;
  readonly newUuid: NewUuid;
  /** The environment variables that child programs need: PATH, HOME, TMPDIR. */
  readonly programEnv: Readonly<Record<string, string | undefined>>;
}

/** What a person can do after a failure. */
export interface NextSteps {
  /** Whether this run has changed anything. */
  readonly isBegun: boolean;
  /** The command that resumes the interrupted run. */
  readonly goOn: string;
  /** What to do instead where the log has changed, so that the run cannot be resumed. */
  readonly beginAgain: string;
}

/**
 * Prints the failure and returns its exit code. `next` is given once the command may have changed something; its
 * advice is printed where it can help.
 */
export function failed(console: Console, thrown: unknown, next?: NextSteps): number {
  const e = thrown instanceof AppError ? thrown : fileFailure(thrown);
  if (!e) throw thrown;
  console.say(e.message);
  const isBegun = next?.isBegun === true;
  if (next && e.code === "LOG_DISAGREES") console.say(`To begin again: ${next.beginAgain}`);
  // A refused operation would be refused again; its message says what to do.
  else if (isBegun && e.code !== "OPERATION_REFUSED") console.say(`To go on: ${next.goOn}`);
  if (e.code === "INTERRUPTED") return EXIT_INTERRUPTED;
  return isBegun || e.code === "LOG_DISAGREES" ? EXIT_FAILED : EXIT_USAGE;
}
