import { AppError } from "../errors.ts";
import type { Config } from "../config/config.ts";
import type { NewUuid } from "../system/random.ts";
import type { OperationEnvironment } from "./environment.ts";
import { fileFailure } from "./files/file-failures.ts";
import type { Console } from "./terminal/progress.ts";

export const EXIT_OK = 0;
/** Not all that should have arrived did, or it was given up. */
export const EXIT_FAILED = 1;
/** Nothing was done. */
export const EXIT_USAGE = 2;
/** As a shell says it of a process that SIGINT ended. */
export const EXIT_INTERRUPTED = 130;

/** What a command is run with. */
export interface CommandContext {
  readonly config: Config;
  readonly env: OperationEnvironment;
  readonly console: Console;
  readonly newUuid: NewUuid;
  /** Of the environment what programs need that are started from here: PATH, HOME, TMPDIR. */
  readonly programEnv: Readonly<Record<string, string | undefined>>;
}

/** What can be done after a failure, for people. */
export interface NextSteps {
  /** Whether this run has changed anything. */
  readonly isBegun: boolean;
  /** The command that goes on with what was interrupted. */
  readonly goOn: string;
  /** Where the log is not what it was, and nothing can go on: what to do instead. */
  readonly beginAgain: string;
}

/** The exit code for a failure; with `next`, what to do is said too, where that can help. Without it nothing was done. */
export function failed(console: Console, thrown: unknown, next?: NextSteps): number {
  const e = thrown instanceof AppError ? thrown : fileFailure(thrown);
  if (!e) throw thrown;
  console.say(e.message);
  const isBegun = next?.isBegun === true;
  if (next && e.code === "LOG_DISAGREES") console.say(`To begin again: ${next.beginAgain}`);
  // What was refused is refused again; its message says what to do.
  else if (isBegun && e.code !== "OPERATION_REFUSED") console.say(`To go on: ${next.goOn}`);
  if (e.code === "INTERRUPTED") return EXIT_INTERRUPTED;
  return isBegun || e.code === "LOG_DISAGREES" ? EXIT_FAILED : EXIT_USAGE;
}
