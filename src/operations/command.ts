import { AppError, type ErrorCode, isAppError } from "../errors.ts";
import type { Config } from "../config.ts";
import type { NewUuid } from "../random.ts";
import type { OperationEnvironment } from "./environment.ts";
import type { Console } from "./progress.ts";

export const EXIT_OK = 0;
/** Not all that should have arrived did, or it was given up. */
export const EXIT_FAILED = 1;
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

const NOTHING_DONE: readonly ErrorCode[] = ["OPTION_INVALID", "CONFIG_INVALID", "CONNECT_NOT_FOUND"];

/** What can be done after a failure, for people. */
export interface NextSteps {
  /** The command that goes on with what was interrupted. */
  readonly goOn: string;
  /** Where the log is not what it was, and nothing can go on: what to do instead. */
  readonly beginAgain: string;
}

/** The exit code for a failure; with `next`, what to do is said too. */
export function failed(console: Console, e: unknown, next?: NextSteps): number {
  if (!(e instanceof AppError)) throw e;
  console.say(e.message);
  if (NOTHING_DONE.includes(e.code)) return EXIT_USAGE;
  if (next) console.say(e.code === "LOG_DISAGREES" ? `To begin again: ${next.beginAgain}` : `To go on: ${next.goOn}`);
  return isAppError(e, "INTERRUPTED") ? EXIT_INTERRUPTED : EXIT_FAILED;
}
