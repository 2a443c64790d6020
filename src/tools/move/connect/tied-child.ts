import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface TiedChild {
  /** The last OUTPUT_CHARS_MAX characters that the child wrote. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<Exit>;
}

const OUTPUT_CHARS_MAX = 64 * 1024;

/**
 * Starts a child process that cannot outlive this one, even if this one is killed by SIGKILL. A shell starts a keeper
 * and then becomes the program. The keeper reads from a pipe whose other end only this process holds, and which the
 * operating system closes when this process is gone:
 *
 * ```
 *   this process ──pipe──▶ keeper   reads a line:  the program has ended; the keeper exits
 *                                   reads the end: this process is gone; the keeper kills the program
 *                                                  and runs `onOrphaned`
 * ```
 */
export function spawnTied(
  command: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  onOrphaned: readonly string[] = [":"],
): TiedChild {
  const script = `
    { read -r released <&3 || { kill -9 $$; ${onOrphaned.map(quoted).join(" ")}; }; } </dev/null >/dev/null 2>&1 &
    exec "$@" 3<&-
  `;
  // Ctrl-C signals the terminal's whole process group; a detached child leaves it to this process when to end.
  const child = spawn("sh", ["-c", script, "sh", ...command], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    detached: true,
    env,
  }) as ChildProcessByStdio<null, Readable, Readable>;
  let output = "";
  const collect = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX));
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const keeper = child.stdio[3] as unknown as Writable;
  keeper.on("error", () => undefined);
  let ended = false;
  const exited = new Promise<Exit>((resolve) => {
    child.on("error", (e) => {
      ended = true;
      output += e.message;
      resolve({ code: null, signal: null });
    });
    child.on("exit", () => {
      ended = true;
      keeper.end("released\n");
    });
    // "close" comes after the last of the child's output, "exit" may come before.
    child.on("close", (code, signal) => resolve({ code, signal }));
  });
  return {
    output: () => output,
    kill: (signal) => {
      if (!ended) child.kill(signal);
    },
    exited,
  };
}

const quoted = (word: string): string => (word === ":" ? word : `'${word.replaceAll("'", `'\\''`)}'`);
