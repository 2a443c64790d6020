import type { FromMember } from "./messages.ts";
import type { StartMember } from "./supervisor.ts";

const ARGUMENT = /^--member=(\d{1,2})$/;

/** The argument by which a process learns which member it is. */
export const memberIn = (arg: string): number | undefined => {
  const found = ARGUMENT.exec(arg)?.[1];
  return found === undefined ? undefined : Number(found);
};

/** Starts members by the same command with their number, and the same standard output. */
export const memberStarter =
  (command: readonly string[], env: Readonly<Record<string, string | undefined>>): StartMember =>
  (member, onMessage) => {
    const child = Bun.spawn([...command, `--member=${member}`], {
      env,
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message: FromMember) => onMessage(message),
      serialization: "json",
    });
    return {
      pid: child.pid,
      send: (message) => {
        try {
          child.send(message);
        } catch {
          // The process is gone, or about to be; its exit comes next.
        }
      },
      kill: (signal) => child.kill(signal),
      exited: child.exited.then(() => ({ code: child.exitCode, signal: child.signalCode })),
    };
  };
