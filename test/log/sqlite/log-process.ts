import { join } from "node:path";

export interface LogProcess {
  readonly child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  /** What it has said so far. */
  readonly lines: string[];
  end(signal?: NodeJS.Signals): Promise<void>;
  /** Resolves with the exit code. */
  readonly finished: Promise<number>;
}

/** Starts a process on the log at this path; sqlite-process.ts says what it can do. */
export function startLogProcess(path: string, ...args: string[]): LogProcess {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "sqlite-process.ts"), path, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines: string[] = [];
  const read = (async () => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop()!;
      lines.push(...parts);
    }
  })();
  const end = async (signal: NodeJS.Signals = "SIGKILL") => {
    child.kill(signal);
    await Promise.all([child.exited, read]);
  };
  return { child, lines, end, finished: Promise.all([child.exited, read]).then(([code]) => code) };
}
