import { AppError } from "../errors.ts";

/**
 * A Host header by RFC 9110, 7.2, without percent-encoding: an address in brackets, or a name or IPv4 address; and a
 * port.
 */
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._~!$&'()*+,;=-]+)(?::([0-9]{0,5}))?$/;
const PORT_MAX = 65_535;
const IPV4 = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;

/** The name or address in a Host header, in lower case and without its port. Undefined if the header is malformed. */
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
 * Decides which Host headers are answered. A service that listens on a loopback address is only asked by this machine,
 * so it answers to loopback names and to `allowed_hosts` alone. That stops a web page whose name was rebound to
 * 127.0.0.1, as its browser still sends that name. A service that listens elsewhere answers to any name; if there are
 * `allowed_hosts`, it answers to them, to loopback names and to addresses, which cannot be rebound and which probes
 * and scrapers use.
 */
export class ServedHosts {
  readonly #isListeningOnLoopback: boolean;
  readonly #allowed: ReadonlySet<string | undefined>;
  readonly #advertised: string | undefined;
  /** The header served last, since clients send the same one again and again. */
  #lastServed: string | undefined;

  /** `advertised` is the host under which peers ask; it is served whatever else is. */
  constructor(host: string, allowed_hosts: readonly string[], advertised?: string) {
    this.#isListeningOnLoopback = isLoopback(hostName(bracketed(host)) ?? "");
    this.#allowed = new Set(allowed_hosts.map((name) => hostName(bracketed(name))));
    this.#advertised = advertised === undefined ? undefined : hostName(bracketed(advertised));
  }

  /**
   * A request without the header is served, since HTTP/1.0 does not know it; the server itself refuses such a request
   * in HTTP/1.1. Throws HOST_INVALID or HOST_NOT_SERVED.
   */
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
    if (isLoopback(name) || this.#allowed.has(name) || name === this.#advertised) return true;
    if (this.#isListeningOnLoopback) return false;
    return this.#allowed.size === 0 || isAddress(name);
  }
}
