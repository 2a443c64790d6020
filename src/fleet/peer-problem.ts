import { AppError, type ErrorCode, errorCatalogue } from "../errors.ts";
import type { PeerAnswer } from "./peer-transport.ts";

/** An error as members tell it to each other inside an answer. */
export interface ToldError {
  readonly code: string;
  readonly detail: string;
  readonly extra: Readonly<Record<string, unknown>>;
}

export const toldError = ({ code, message, extra }: AppError): ToldError => ({ code, detail: message, extra });

const isKnown = (code: unknown): code is ErrorCode => typeof code === "string" && code in errorCatalogue;

/** A member of a later version may have errors that this one does not know. */
export const errorOf = ({ code, detail, extra }: ToldError): AppError =>
  new AppError(isKnown(code) ? code : "OWNER_UNREACHABLE", detail, extra);

/** The answer's JSON. Throws the problem if it is one. */
export function goodJson(answer: PeerAnswer): unknown {
  const problem = problemOf(answer);
  if (problem) throw problem;
  return JSON.parse(answer.text);
}

/** The members of a problem that the error itself does not have in `extra`. */
const OF_PROBLEM = new Set(["type", "title", "status", "detail", "code"]);

/** The problem that a peer answered with; undefined if the answer is good. */
export function problemOf({ status, text, headers }: PeerAnswer): AppError | undefined {
  if (status < 400) return undefined;
  try {
    const problem = JSON.parse(text) as Record<string, unknown>;
    const { code, detail } = problem;
    if (isKnown(code) && typeof detail === "string") {
      const extra = Object.fromEntries(Object.entries(problem).filter(([name]) => !OF_PROBLEM.has(name)));
      const retry_after_s = Number(headers.get("retry-after") ?? Number.NaN);
      return new AppError(code, detail, Number.isNaN(retry_after_s) ? extra : { ...extra, retry_after_s });
    }
  } catch {
    // It is no problem of ours.
  }
  return new AppError("INTERNAL", `It answers ${status}.`);
}
