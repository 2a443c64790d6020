import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

/**
 * A child process that cannot outlive the test run, however the run ends (a failure, Ctrl-C, kill -9). A shell puts a
 * keeper beside the program and then becomes the program (exec), so `pid` is the program's own. The keeper reads from a
 * pipe of which only the test run has the other end; the system closes it when the run is gone:
 *
 *   test run ──pipe──▶ keeper   a line read: the program ended in good order; the keeper goes
 *                               end of file: the run is gone; the keeper kills the program and runs `onOrphaned`
 */
export interface TiedProcess {
  readonly pid: number;
  /** Everything written to stdout and stderr so far, at most the last `output_chars_max`. */
  output(): string;
  /** How the program ended; undefined while it runs. */
  exit(): Exit | undefined;
  kill(signal: NodeJS.Signals): void;
  exited: Promise<Exit>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface TiedProcessOptions {
  readonly env?: Record<string, string | undefined>;
  readonly cwd?: string;
  /**
   * A shell command that the keeper runs if the run ended before it could clean up. `$1`, … are the `onOrphanedArgs`.
   */
  readonly onOrphaned?: string;
  readonly onOrphanedArgs?: readonly string[];
}

const output_chars_max = 1_000_000;

const running = new Set<TiedProcess>();

export function spawnTied(command: readonly string[], options: TiedProcessOptions = {}): TiedProcess {
  const keeperArgs = options.onOrphanedArgs ?? [];
  const script = `
    { read -r released <&3 || { kill -9 $$; ${options.onOrphaned ?? ":"}; }; } </dev/null >/dev/null 2>&1 &
    shift ${keeperArgs.length}
    exec "$@" 3<&-
  `;
  const child = spawn("sh", ["-c", script, "sh", ...keeperArgs, ...command], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    // Ctrl-C on a terminal reaches its whole process group, but the run decides how its children end.
    detached: true,
    cwd: options.cwd,
    env: options.env ?? process.env,
  }) as ChildProcessByStdio<null, Readable, Readable>;
  const pid = child.pid;
  if (pid === undefined) throw new Error("No shell could be started: the test support needs `sh` on PATH.");

  let output = "";
  const collect = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-output_chars_max);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);

  let exit: Exit | undefined;
  const keeper = child.stdio[3] as unknown as Writable;
  keeper.on("error", () => {});
  const exited = new Promise<Exit>((resolve) => {
    child.on("exit", (code, signal) => {
      exit = { code, signal };
      running.delete(tied);
      keeper.end("released\n");
    });
    // "close" comes after the last of the output.
    child.on("close", (code, signal) => resolve({ code, signal }));
  });
  const tied: TiedProcess = {
    pid,
    output: () => output,
    exit: () => exit,
    kill: (signal) => {
      if (exit === undefined) process.kill(pid, signal);
    },
    exited,
  };
  running.add(tied);
  return tied;
}

/** Ends with SIGKILL whatever still runs. */
export async function killAllTied(): Promise<void> {
  await Promise.all(
    [...running].map((tied) => {
      tied.kill("SIGKILL");
      return tied.exited;
    }),
  );
}

/** Runs a command to its end, at most `run_ms_max`. A command that does not exist is not ok. */
export async function runBounded(
  command: readonly string[],
  run_ms_max: number,
  env?: Record<string, string | undefined>,
): Promise<{ readonly ok: boolean; readonly output: string }> {
  const run = spawnTied(command, env ? { env } : {});
  const timer = setTimeout(() => run.kill("SIGKILL"), run_ms_max);
  const exit = await run.exited;
  clearTimeout(timer);
  return { ok: exit.code === 0, output: run.output() };
}
