import { AppError } from "../errors.ts";

/** RFC 9110, 7.2, without percent-encoding: an address in brackets, or a name or IPv4 address; and a port. */
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._~!$&'()*+,;=-]+)(?::([0-9]{0,5}))?$/;
const PORT_MAX = 65_535;
const IPV4 = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;

/** The name or address of a Host header, in small letters and without its port. Undefined where it is malformed. */
export function hostName(header: string): string | undefined {
  const [, name, port = "0"] = HOST.exec(header.toLowerCase()) ?? [];
  return Number(port) > PORT_MAX ? undefined : name?.replace(/\.$/, "");
}

const isAddress = (name: string): boolean => name.startsWith("[") || IPV4.test(name);

const isLoopback = (name: string): boolean =>
  name === "localhost" || name === "[::1]" || (name.startsWith("127.") && IPV4.test(name));

/** An IPv6 address stands in brackets in a Host header, and without them in a setting. */
const bracketed = (host: string): string => (/^[0-9a-f]*:[0-9a-f:.]*$/i.test(host) ? `[${host}]` : host);

/**
 * Which Host headers are answered. A service that listens on a loopback address is asked by this machine alone, so it answers to loopback
 * names alone: a page whose name was rebound to 127.0.0.1 has its browser send that name. `allowed_hosts` are answered beside them. A
 * service that listens elsewhere answers to any name, or where there are `allowed_hosts`, to those, to loopback names and to addresses:
 * those cannot be rebound, and probes and scrapers use them.
 */
export class ServedHosts {
  readonly #isListeningOnLoopback: boolean;
  readonly #allowed: ReadonlySet<string | undefined>;
  /** Clients send the same ones again and again. */
  #lastServed: string | undefined;

  constructor(host: string, allowed_hosts: readonly string[]) {
    this.#isListeningOnLoopback = isLoopback(hostName(bracketed(host)) ?? "");
    this.#allowed = new Set(allowed_hosts.map((name) => hostName(bracketed(name))));
  }

  /** None at all is for HTTP/1.0, which knows no Host; of HTTP/1.1 the server itself refuses that. Throws HOST_INVALID or HOST_NOT_SERVED. */
  require(header: string | null): void {
    if (header === null || header === this.#lastServed) return;
    const name = hostName(header);
    if (name === undefined) throw new AppError("HOST_INVALID", "The Host header must be one name or address, and a port if any.");
    if (!this.#isServed(name))
      throw new AppError(
        "HOST_NOT_SERVED",
        "This service is not asked by that name. Ask it by its address, or start it with the name in ALLOWED_HOSTS.",
      );
    this.#lastServed = header;
  }

  #isServed(name: string): boolean {
    if (isLoopback(name) || this.#allowed.has(name)) return true;
    if (this.#isListeningOnLoopback) return false;
    return this.#allowed.size === 0 || isAddress(name);
  }
}
