import { AppError } from "../errors.ts";
import type { ToMember } from "./messages.ts";
import type { SupervisorChannel } from "./member.ts";
import type { AskMember } from "./set-answers.ts";

/** Longer than any member's event loop is busy, and shorter than probes wait. */
const ANSWER_MS_MAX = 2_000;

/** The channel to the process that started this one. Throws CONFIG_INVALID if it was not a supervisor. */
export function supervisorChannel(): SupervisorChannel {
  const send = process.send?.bind(process);
  if (!send)
    throw new AppError("CONFIG_INVALID", "--member is for processes that MEMBERS starts: set MEMBERS to a number instead.");
  return {
    send: (message) => {
      if (process.connected) send(message);
    },
    onMessage: (listener) => void process.on("message", (message) => listener(message as ToMember)),
    onGone: (listener) => {
      if (process.connected) process.on("disconnect", listener);
      // It went while this process was starting.
      else listener();
    },
  };
}

export const askMember: AskMember = async (url) => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    return { status: response.status, text: await response.text() };
  } catch (e) {
    return (e as Error).name === "TimeoutError" ? "silent" : undefined;
  }
};
