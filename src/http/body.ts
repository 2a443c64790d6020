import { type Clock, within } from "../system/clock.ts";
import { AppError } from "../errors.ts";
import type { HttpRequest } from "./http-request.ts";
import type { UnreadBodies } from "./unread-bodies.ts";

/** How deep arrays and objects may be nested, the outermost counted. */
const JSON_DEPTH_MAX = 32;

/** The decoder skips a byte order mark. */
const utf8 = new TextDecoder("utf-8", { fatal: true });
/** Matches `application/json` and the types that end in `+json` (RFC 6839), without their parameters. */
const jsonType = /^(?:application\/json|[!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+\+json)$/;

/** Bun 1.4.5 heeds `Expect: 100-continue` in lower case only. A client that writes it otherwise may wait for ever. */
const HEEDED_EXPECTATION = "100-continue";
const EXPECTING_WAIT_MS_MAX = 1_000;

/**
 * Reads a JSON body of at most `body_bytes_max`, and never holds more. If a name occurs twice, the last value counts.
 * A byte order mark is skipped.
 *
 * Rejects with NOT_JSON_TYPE, BODY_TOO_LARGE, BODY_TOO_SLOW, EXPECTATION_FAILED, NOT_JSON (also for invalid UTF-8, an
 * empty body and one that ended early), INVALID_FIELD (nested deeper than JSON_DEPTH_MAX) or SHUTTING_DOWN, and with
 * nothing else.
 */
export const readJson = async (
  request: HttpRequest,
  body_bytes_max: number,
  bodies: UnreadBodies,
  clock: Clock,
): Promise<unknown> => {
  const { headers } = request;
  requireJsonType(headers.get("content-type"));
  requireNoCoding(headers.get("content-encoding"));
  const expectation = headers.get("expect");
  const reading = readBytes(request.raw, body_bytes_max);
  const bytes = await bodies.arrived(
    request,
    expectation === null || expectation === HEEDED_EXPECTATION ? reading : unlessExpecting(reading, clock),
  );
  const value = parseJson(bytes);
  if (!isNestedWithin(value, JSON_DEPTH_MAX)) throw new AppError("INVALID_FIELD", tooDeep);
  return value;
};

/** A client that gets 417 sends the request again without Expect (RFC 9110, 10.1.1). */
const unlessExpecting = async (reading: Promise<Uint8Array>, clock: Clock): Promise<Uint8Array> => {
  const bytes = await within(clock, EXPECTING_WAIT_MS_MAX, reading);
  if (bytes) return bytes;
  throw new AppError("EXPECTATION_FAILED", "The Expect header is not heeded; send the request without it.");
};

const tooDeep = `The body must not be nested deeper than ${JSON_DEPTH_MAX} levels.`;

/**
 * Refuses every Content-Encoding but identity. A coded body that happens to be JSON was labelled wrongly, and what it
 * was meant to be is not guessed (RFC 9110, 8.4).
 */
const requireNoCoding = (coding: string | null): void => {
  if (coding === null || coding.trim().toLowerCase() === "identity" || coding.trim() === "") return;
  throw new AppError("NOT_JSON_TYPE", "The body must be sent as it is, without a Content-Encoding.", {
    accept_encoding: "identity",
  });
};

const requireJsonType = (contentType: string | null): void => {
  if (contentType === "application/json") return;
  const mediaType = contentType?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (!jsonType.test(mediaType)) throw new AppError("NOT_JSON_TYPE", "The Content-Type header must be application/json.");
};

const tooLarge = (body_bytes_max: number): AppError =>
  new AppError("BODY_TOO_LARGE", `The body must not be longer than ${body_bytes_max} bytes.`, { body_bytes_max });

const readBytes = async (request: Request, body_bytes_max: number): Promise<Uint8Array> => {
  const contentLength = request.headers.get("content-length");
  try {
    // With a Content-Length, the server itself reads no more than that; a chunked body has no length.
    if (contentLength === null) return await readChunks(request.body, body_bytes_max);
    if (Number(contentLength) > body_bytes_max) throw tooLarge(body_bytes_max);
    return new Uint8Array(await request.arrayBuffer());
  } catch (e) {
    if (e instanceof AppError) throw e;
    throw new AppError("NOT_JSON", "The body ended before it was complete.", {}, e);
  }
};

const readChunks = async (body: ReadableStream<Uint8Array> | null, body_bytes_max: number): Promise<Uint8Array> => {
  if (body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length_bytes = 0;
  // An error that leaves the loop cancels the stream.
  for await (const chunk of body) {
    length_bytes += chunk.byteLength;
    if (length_bytes > body_bytes_max) throw tooLarge(body_bytes_max);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length_bytes);
};

const parseJson = (bytes: Uint8Array): unknown => {
  if (bytes.byteLength === 0) throw new AppError("NOT_JSON", "The body is empty; it must be a JSON object.");
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new AppError("NOT_JSON", "The body is not valid UTF-8.");
  }
  try {
    return JSON.parse(text);
  } catch (e) {
    if (e instanceof RangeError) throw new AppError("INVALID_FIELD", tooDeep);
    throw new AppError("NOT_JSON", "The body is not valid JSON.");
  }
};

const isNestedWithin = (value: unknown, levels: number): boolean => {
  if (typeof value !== "object" || value === null) return true;
  if (levels === 0) return false;
  if (Array.isArray(value)) {
    for (const element of value) if (!isNestedWithin(element, levels - 1)) return false;
    return true;
  }
  for (const name in value) if (!isNestedWithin((value as Record<string, unknown>)[name], levels - 1)) return false;
  return true;
};
