import { AppError, type ErrorCode, errorCatalogue, isAppError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";

/** How long a client is asked to wait after a 503. It is longer for a halt, which only an operator ends. */
const RETRY_AFTER_S = 1;
const RETRY_AFTER_HALTED_S = 30;

const reserved = new Set(["type", "title", "status", "detail", "code", "challenge", "accept_encoding", "retry_after_s"]);

/** A stable type for each code, such as `urn:problem:order-exists`. */
export const problemType = (code: ErrorCode): string => `urn:problem:${code.toLowerCase().replaceAll("_", "-")}`;

/**
 * Answers an error as `application/problem+json` (RFC 9457): type, title, status, detail, code, and what the error
 * adds. A 503 and a 429 have Retry-After, a 401 has the challenge, and a 415 about the coding has Accept-Encoding (RFC
 * 9110, 15.5.16). An unknown exception or an error with status 500 is not meant for clients, so it is logged and
 * answered without its contents.
 */
export const problemResponse = (error: unknown, logger: Logger): Response => {
  if (isAppError(error) && errorCatalogue[error.code].status < 500) return toResponse(error);
  if (isAppError(error) && errorCatalogue[error.code].status === 503) return toResponse(error);
  logger.error({ err: error }, "a request failed");
  return toResponse(new AppError("INTERNAL", "The request failed for a reason that is not yours; it is logged here."));
};

const retryAfter_s = ({ code, extra }: AppError): number => {
  if (typeof extra.retry_after_s === "number") return extra.retry_after_s;
  return code === "PARTITION_HALTED" ? RETRY_AFTER_HALTED_S : RETRY_AFTER_S;
};

const toResponse = (error: AppError): Response => {
  const { status, title } = errorCatalogue[error.code];
  const body: Record<string, unknown> = { type: problemType(error.code), title, status, detail: error.message, code: error.code };
  for (const [name, value] of Object.entries(error.extra)) if (!reserved.has(name)) body[name] = value;
  const headers: Record<string, string> = { "content-type": "application/problem+json", "cache-control": "no-store" };
  if (status === 503 || status === 429) headers["retry-after"] = String(retryAfter_s(error));
  if (status === 401) headers["www-authenticate"] = String(error.extra.challenge);
  if (error.code === "METHOD_NOT_ALLOWED") headers.allow = String(error.extra.allow);
  if (typeof error.extra.accept_encoding === "string") headers["accept-encoding"] = error.extra.accept_encoding;
  // The rest of a refused body is not read, so the connection cannot serve another request.
  if (status === 413 || status === 408 || status === 417) headers.connection = "close";
  return new Response(JSON.stringify(body), { status, headers });
};
