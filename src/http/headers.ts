import { AppError } from "../errors.ts";

/**
 * Headers of an answer that is streamed: no proxy may store it or hold it back. The second header is nginx's own, and
 * other proxies heed it, too.
 */
export const STREAM_HEADERS = { "cache-control": "no-store", "x-accel-buffering": "no" } as const;

const IDEMPOTENCY_KEY_CHARS_MAX = 255;

/** A structured field's string (RFC 8941, 3.3.3), as draft-ietf-httpapi-idempotency-key-header-07 requires. */
const quotedKey = /^"((?:[ !#-[\]-~]|\\["\\])*)"$/;
/**
 * What clients send in practice: no quotes, and no character that a structured field needs for lists or parameters.
 */
const bareKey = /^[!#-+\--:<-[\]-~]+$/;

/** The key without its quotes; `"abc"` and `abc` are one key. Throws IDEMPOTENCY_KEY_INVALID. */
export const parseIdempotencyKey = (header: string): string => {
  const key = bareKey.test(header) ? header : quotedKey.exec(header)?.[1]?.replace(/\\(["\\])/g, "$1");
  if (key === undefined || key.length === 0 || key.length > IDEMPOTENCY_KEY_CHARS_MAX) {
    throw new AppError(
      "IDEMPOTENCY_KEY_INVALID",
      `The Idempotency-Key header must be one string of 1 to ${IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters in quotes.`,
    );
  }
  return key;
};

const traceparentPattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * The header as version 00 of W3C Trace Context, level 1. Undefined if it is absent or malformed: a new trace then
 * begins, as the recommendation says, and the request is answered all the same.
 */
export const parseTraceparent = (header: string | null): string | undefined => {
  if (header === null) return undefined;
  const [, version, trace, parent, flags, rest] = traceparentPattern.exec(header) ?? [];
  if (version === undefined || trace === undefined || parent === undefined || version === "ff") return undefined;
  if (version === "00" && rest !== undefined) return undefined;
  if (/^0+$/.test(trace) || /^0+$/.test(parent)) return undefined;
  return `00-${trace}-${parent}-${flags}`;
};

const TRACESTATE_CHARS_MAX = 512;
const TRACESTATE_MEMBERS_MAX = 32;
const tracestateMember =
  /^(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})=[ -+\--<>-~]{0,255}[!-+\--<>-~]$/;

/**
 * What tracing systems keep beside the traceparent, as W3C Trace Context, level 1, defines it. Undefined if it is
 * absent, malformed or longer than TRACESTATE_CHARS_MAX.
 */
export const parseTracestate = (header: string | null): string | undefined => {
  if (header === null || header.length > TRACESTATE_CHARS_MAX) return undefined;
  const members = header.split(",").map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ""));
  const named = members.filter((member) => member !== "");
  const keys = new Set(named.map((member) => member.slice(0, member.indexOf("="))));
  if (named.length === 0 || named.length > TRACESTATE_MEMBERS_MAX || keys.size < named.length) return undefined;
  return named.every((member) => tracestateMember.test(member)) ? named.join(",") : undefined;
};
