import { AppError } from "../errors.ts";
import type { RequestSpan } from "../telemetry/tracer.ts";
import { invalidField } from "./endpoint/invalid-field.ts";

/** Who asks, and for what, if the request itself does not tell. */
export interface Origin {
  /** The client's address. */
  readonly address?: () => string | undefined;
  /** The path to use instead of the request's own. */
  readonly path?: string;
  /** Whether the request came to a port that several members share. */
  readonly isShared?: boolean;
}

/** A request as handlers see it: its path decoded, its body read. */
export class HttpRequest {
  /** The JSON body, if the endpoint takes one. */
  body: unknown;
  /** The request's span, if the request is traced. */
  span: RequestSpan | undefined;
  readonly method: string;
  readonly headers: Headers;
  #client: string | undefined;
  #parameters: URLSearchParams | undefined;

  private constructor(
    readonly raw: Request,
    /** The segments of the path, each decoded. */
    readonly segments: readonly string[],
    private readonly search: string,
    private readonly origin: Origin,
  ) {
    this.method = raw.method;
    this.headers = raw.headers;
  }

  /** Throws PATH_INVALID. */
  static of(raw: Request, origin: Origin = {}): HttpRequest {
    const { path, search } = targetOf(raw.url);
    return new HttpRequest(raw, decodedSegments(origin.path ?? path), search, origin);
  }

  /**
   * The value of a query parameter; undefined if it is absent. Throws INVALID_FIELD if it is given with different
   * values.
   */
  query(name: string): string | undefined {
    const [value, ...others] = (this.#parameters ??= new URLSearchParams(this.search)).getAll(name);
    if (others.every((other) => other === value)) return value;
    throw invalidField(name, `${name} must be given once, or with one value.`);
  }

  /** Aborts when the client hangs up. To be asked for only where something is waited for: Bun makes it then. */
  get leaving(): AbortSignal {
    return this.raw.signal;
  }

  /** Whether the request may have come to any of several members, and so may ask about all of them. */
  get isShared(): boolean {
    return this.origin.isShared === true;
  }

  /**
   * The client that the request counts for: an IPv4 address, or the 64-bit prefix that an IPv6 client has to itself.
   */
  get client(): string {
    return (this.#client ??= clientOf(this.origin.address?.() ?? ""));
  }
}

/** Matches paths that a URL parser would leave as they are. */
const PLAIN_PATH = /^(?:\/[\w~-][\w.~-]*)+$|^\/$/;

/**
 * The path and the query of a request's URL as Bun gives it. The authority of that URL is the Host header. If there is
 * no usable one, the URL is the request's target as it came, which may be anything.
 */
function targetOf(url: string): { path: string; search: string } {
  const at = url.startsWith("/") ? 0 : url.startsWith("http://") || url.startsWith("https://") ? url.indexOf("/", 8) : -1;
  const target = at < 0 ? "" : url.slice(at);
  const queryAt = target.indexOf("?");
  const path = queryAt < 0 ? target : target.slice(0, queryAt);
  if (PLAIN_PATH.test(path)) return { path, search: queryAt < 0 ? "" : withoutFragment(target.slice(queryAt)) };
  const parsed = target.startsWith("/") ? URL.parse(`http://localhost${target}`) : null;
  if (parsed === null) throw invalidPath();
  return { path: parsed.pathname, search: parsed.search };
}

const withoutFragment = (search: string): string => search.split("#", 1)[0] ?? "";

/** Splits before it decodes, because an encoded slash is part of its segment. */
function decodedSegments(path: string): string[] {
  const segments = path.slice(1).split("/");
  if (!path.includes("%")) return segments;
  try {
    return segments.map(decodeURIComponent);
  } catch {
    throw invalidPath();
  }
}

const invalidPath = (): AppError => new AppError("PATH_INVALID", "The path must be one, and its escapes must be UTF-8.");

const GROUPS = 8;
const NETWORK_GROUPS = 4;

export function clientOf(address: string): string {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(":")) return address;
  const [left = "", right] = address.split("::");
  const groups = left === "" ? [] : left.split(":");
  const last = right === undefined || right === "" ? [] : right.split(":");
  if (right !== undefined) while (groups.length + last.length < GROUPS) groups.push("0");
  return `${[...groups, ...last].slice(0, NETWORK_GROUPS).join(":")}::/64`;
}
