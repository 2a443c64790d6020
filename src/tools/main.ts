import { type Config, readConfig } from "../config/config.ts";
import { systemClock } from "../system/clock.ts";
import { AppError } from "../errors.ts";
import type { Log } from "../log/port.ts";
import { isAbsent, logKinds, logName } from "../log/log-kinds.ts";
import { openLog } from "../log/open-log.ts";
import { checkDataDir, checkOpenFiles, prepareDataDir, startFailure, writeForThisUserAlone } from "../system/startup-checks.ts";
import { isTerminal, writeToStdout } from "../telemetry/logger.ts";
import { ARCHIVE_USAGE, runArchive } from "./archive/archive-command.ts";
import { type CommandContext, EXIT_INTERRUPTED, EXIT_USAGE, failed } from "./command.ts";
import { Console } from "./terminal/progress.ts";
import { REDRIVE_USAGE, runRedrive } from "./redrive/redrive-command.ts";
import { REPLAY_USAGE, runReplay } from "./replay/replay-command.ts";

interface Command {
  readonly usage: string;
  /** Whether the command may create the embedded log where there is none yet. */
  mayMakeLog?(args: readonly string[]): boolean;
  run(args: readonly string[], context: CommandContext): Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  replay: { usage: REPLAY_USAGE, run: runReplay },
  redrive: { usage: REDRIVE_USAGE, run: runRedrive },
  archive: { usage: ARCHIVE_USAGE, run: runArchive, mayMakeLog: (args) => args.includes("--restore") },
};

const clock = systemClock;

/** The first SIGINT or SIGTERM aborts the signal, for an orderly end; the second one ends the process at once. */
function untilInterrupted(): AbortSignal {
  const interrupting = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (interrupting.signal.aborted) process.exit(EXIT_INTERRUPTED);
      interrupting.abort();
    });
  }
  return interrupting.signal;
}

function begin(mayMakeLog: boolean): { readonly config: Config; readonly log: Log } {
  const config = readConfig(process.env);
  checkOpenFiles();
  if (mayMakeLog) prepareDataDir(config.data_dir);
  else checkDataDir(config.data_dir);
  if (!mayMakeLog && isAbsent(config.log)) throw new AppError("OPERATION_REFUSED", `There is no log (${logName(config.log)}).`);
  return { config, log: openLog(config, { clock, random: Math.random, newUuid, onClientMessage: () => undefined }) };
}

async function main([name = "", ...args]: readonly string[]): Promise<number> {
  const command = COMMANDS[name];
  if (!command) throw new Error(`There is no operation ${name}.`);
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(command.usage);
    return 0;
  }
  const console = new Console({ write: writeToStdout, columns: isTerminal() ? () => process.stdout.columns : undefined }, clock);
  let begun: { readonly config: Config; readonly log: Log };
  try {
    begun = begin(command.mayMakeLog?.(args) ?? false);
  } catch (e) {
    console.say(startFailure(e));
    return EXIT_USAGE;
  }
  const { config, log } = begun;
  try {
    const { PATH, HOME, TMPDIR } = process.env;
    try {
      const env = {
        log,
        log_name: logName(config.log),
        outage_ms_max: logKinds[config.log.kind].outage_ms_max,
        clock,
        random: Math.random,
        backoff: config,
        topic_replication: config.topic_replication,
        signal: untilInterrupted(),
      };
      return await command.run(args, { config, env, console, newUuid, programEnv: { PATH, HOME, TMPDIR } });
    } finally {
      await log.close();
    }
  } catch (e) {
    return failed(console, e);
  }
}

const newUuid = () => crypto.randomUUID();

writeForThisUserAlone();
process.exit(await main(process.argv.slice(2)));
