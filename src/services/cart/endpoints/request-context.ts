import type { Endpoint } from "../../../http/endpoint/endpoint.ts";
import type { ValuesOf } from "../../../http/endpoint/parameter.ts";
import { idempotencyKey, traceparent, tracestate } from "../../../http/endpoint/request-headers.ts";
import type { HttpRequest } from "../../../http/http-request.ts";
import type { RequestContext } from "../commands/commands.ts";

/** The headers that a command takes besides its body. */
export const contextHeaders = [idempotencyKey, traceparent, tracestate] as const;

type ContextHeaders = ValuesOf<typeof contextHeaders>;

const noContext: RequestContext = {};

/**
 * `canonical` writes the command as a text that is the same for every spelling of one request. It is called only for a
 * request with an idempotency key.
 */
export function requestContext<Command>(
  { span }: HttpRequest,
  headers: ContextHeaders,
  { method, path }: Pick<Endpoint, "method" | "path">,
  canonical: (command: Command) => string,
  command: Command,
): RequestContext {
  const key = headers["Idempotency-Key"];
  // If this process records traces, the record carries the request's span; otherwise it carries what the client sent.
  const traced = span ? { span } : traceContext(headers);
  if (key === undefined) return traced;
  return { ...traced, idempotency: { key, fingerprint: fingerprint(`${method} ${path}`, canonical(command)) } };
}

function traceContext(headers: ContextHeaders): RequestContext {
  const { traceparent: parent } = headers;
  if (parent === undefined) return noContext;
  const { tracestate: state } = headers;
  return state === undefined ? { traceparent: parent } : { traceparent: parent, tracestate: state };
}

/** Half of a SHA-256 is enough to tell one client's requests apart. */
const FINGERPRINT_HEX_CHARS = 32;

const fingerprint = (methodAndPath: string, canonicalBody: string): string =>
  new Bun.CryptoHasher("sha256").update(`${methodAndPath}\n${canonicalBody}`).digest("hex").slice(0, FINGERPRINT_HEX_CHARS);
