import { AppError } from "../../src/errors.ts";

/** The outcome of a promise: "ok", or the code of the error that it rejects with. */
export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "ok",
    (e: unknown) => (e instanceof AppError ? e.code : String(e)),
  );
