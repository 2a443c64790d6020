import { isIPv6 } from "node:net";

/** Addresses are written as RFC 3986, 3.2.2, has them: an IPv6 address stands in brackets where a port may follow. */
const portPattern = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const namePattern = "[A-Za-z0-9_][A-Za-z0-9._-]{0,252}";
const nameAndPort = new RegExp(`^${namePattern}:${portPattern}$`);
const nameMaybePort = new RegExp(`^${namePattern}(?::${portPattern})?$`);
const bracketed = new RegExp(`^\\[(?<address>[^\\]]*)\\](?<port>:${portPattern})?$`);

const ZONE = "A zone, such as %eth0, means something on one machine alone: give an address without one.";
const BRACKETS = "An IPv6 address stands in brackets, before its port.";

/** More entries than anybody needs, each as long as a name can be. */
export const listPattern = /^[^,]{1,300}(?:,[^,]{1,300}){0,63}$/;

export const listed = (list: string): string[] => list.split(",").map((entry) => entry.trim());

/**
 * What is wrong with a list of brokers: undefined if nothing is, else a sentence that adds to “host:port pairs”, or ""
 * where there is nothing to add.
 */
export const brokersFlaw = (list: string): string | undefined => {
  for (const entry of listed(list)) {
    if (nameAndPort.test(entry)) continue;
    if (entry.includes("%")) return ZONE;
    const found = bracketed.exec(entry)?.groups;
    if (found?.["port"] !== undefined && isIPv6(found["address"]!)) continue;
    return isIPv6(entry) || (found === undefined && entry.split(":").length > 2) ? BRACKETS : "";
  }
  return undefined;
};

/** The address to listen on, without brackets. */
export const listeningAddress = (host: string): string => bracketed.exec(host)?.groups?.["address"] ?? host;

/**
 * The URL at which this machine reaches a server that listens on `host`. One that listens on all addresses is reached
 * on loopback.
 */
export const localUrl = (host: string, port: number): string => {
  const address = { "0.0.0.0": "127.0.0.1", "::": "::1" }[host] ?? host;
  return `http://${isIPv6(address) ? `[${address}]` : address}:${port}`;
};

const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::";

/**
 * The URL at which other machines reach a server that listens on `host`. One that listens on all addresses is reached at
 * the first of `addresses`, those of this machine that other machines may know, IPv4 before IPv6.
 */
export const reachableUrl = (host: string, port: number, addresses: readonly string[]): string => {
  const mayBe = host === "::" ? addresses : addresses.filter((address) => !isIPv6(address));
  const first = mayBe.find((address) => !isIPv6(address)) ?? mayBe[0];
  return localUrl(isWildcard(host) && first !== undefined ? first : host, port);
};

/** The same host and path at another port. */
export const urlWithPort = (given: string, port: number): string => {
  const url = new URL(given);
  url.port = String(port);
  return url.href.replace(/\/+$/, "");
};

/**
 * What is wrong with the URL of a server: undefined if nothing is, else a sentence that adds to it, or "" where there
 * is nothing to add.
 */
export const urlFlaw = (given: string): string | undefined => {
  if (!/^https?:\/\//i.test(given)) return "It begins with http:// or https://.";
  if (!portOnly.test(portIn(given))) return "A port is a number from 1 to 65535.";
  const url = URL.parse(given);
  if (url === null || url.hostname === "") return "";
  if (url.username !== "" || url.password !== "") return "A name and a password do not belong in it.";
  return url.search !== "" || url.hash !== "" ? "It ends with the port or a path." : undefined;
};

const portOnly = new RegExp(`^${portPattern}?$`);

/** What stands after the host's colon, as it is written; "" if there is none. */
const portIn = (given: string): string =>
  /^[a-z0-9]+:\/\/(?:[^/?#@]*@)?(?:\[[^\]]*\]|[^/?#:]*):([^/?#@]*)(?:[/?#]|$)/i.exec(given)?.[1] ?? "";

/** What is wrong with a list of host names and addresses, each with or without a port; undefined if nothing is. */
export const hostsFlaw = (list: string): string | undefined =>
  listed(list).every((entry) => nameMaybePort.test(entry) || (isIPv6(hostOf(entry)) && !entry.includes("%"))) ? undefined : "";

/**
 * The hosts of a list in the form in which requests are compared with them: lower case, without port, brackets and
 * trailing dot.
 */
export const hostsOf = (list: string): string[] => listed(list).map((entry) => comparable(hostOf(entry)));

const hostOf = (entry: string): string =>
  bracketed.exec(entry)?.groups?.["address"] ?? (isIPv6(entry) ? entry : entry.replace(/:[0-9]+$/, ""));

/** An IPv6 address can be spelled in many ways. URLs use one of them. */
const comparable = (host: string): string =>
  isIPv6(host) ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host.toLowerCase().replace(/\.$/, "");
