export interface PeerRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Text in the type that the headers tell. */
  readonly body?: string | undefined;
}

/** A peer's whole answer, whatever its status. */
export interface PeerAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/**
 * How a request reaches a peer: over HTTP in the program, in memory in the simulator. It rejects if there is no answer,
 * with NotSent if the peer cannot have had the request. It may reject when `signal` aborts, after which nobody waits for it.
 */
export type PeerTransport = (request: PeerRequest, signal: AbortSignal) => Promise<PeerAnswer>;

/** The peer cannot have had the request, as no connection to it came about. */
export class NotSent extends Error {
  constructor(
    message: string,
    readonly code = "ConnectionRefused",
  ) {
    super(message);
  }
}

/** How Bun's fetch says that there was no connection. */
const NO_CONNECTION = new Set(["ConnectionRefused", "FailedToOpenSocket", "ECONNREFUSED"]);

/** A page of rows is the longest answer: at most 1,000 orders. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** More hosts than a fleet has; addresses may change with each restart of a member. */
const DIRECT_HOSTS_MAX = 1_000;

/**
 * Makes a transport over HTTP, whose connections are kept and used again by Bun's fetch. That takes a proxy from the
 * environment, `env`, for all hosts that NO_PROXY does not name; here the peers' hosts are added to it, since what
 * members ask each other goes past no one else.
 */
export function httpTransport(env: Record<string, string | undefined>): PeerTransport {
  const others = env["NO_PROXY"] ?? env["no_proxy"] ?? "";
  const direct = new Set<string>();
  const goDirectly = (host: string): void => {
    if (direct.has(host)) return;
    if (direct.size >= DIRECT_HOSTS_MAX) direct.clear();
    direct.add(host);
    env["NO_PROXY"] = [...(others === "" ? [] : [others]), ...direct].join(",");
  };
  return async ({ method, url, headers, body }, signal) => {
    goDirectly(new URL(url).hostname);
    const response = await fetch(url, { method, headers, signal, redirect: "manual", ...(body !== undefined && { body }) }).catch(
      (e: unknown) => {
        const { code, message } = e as { readonly code?: unknown; readonly message?: unknown };
        throw NO_CONNECTION.has(String(code)) ? new NotSent(String(message), String(code)) : e;
      },
    );
    const { status } = response;
    const length = Number(response.headers.get("content-length") ?? Number.NaN);
    if (length <= ANSWER_BYTES_MAX) return { status, headers: response.headers, text: await response.text() };
    await response.body?.cancel();
    throw new Error(`its answer has ${length} bytes; at most ${ANSWER_BYTES_MAX} are taken`);
  };
}
