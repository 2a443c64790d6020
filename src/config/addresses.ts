import { isIPv6 } from "node:net";

/** Addresses as RFC 3986, 3.2.2, writes them: where a port may follow, one of IPv6 stands in brackets. */
const portPattern = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const namePattern = "[A-Za-z0-9_][A-Za-z0-9._-]{0,252}";
const nameAndPort = new RegExp(`^${namePattern}:${portPattern}$`);
const nameMaybePort = new RegExp(`^${namePattern}(?::${portPattern})?$`);
const bracketed = new RegExp(`^\\[(?<address>[^\\]]*)\\](?<port>:${portPattern})?$`);

const ZONE = "A zone, such as %eth0, means something on one machine alone: give an address without one.";
const BRACKETS = "An IPv6 address stands in brackets, before its port.";

export const listed = (list: string): string[] => list.split(",").map((entry) => entry.trim());

/** What is wrong with a list of brokers: undefined, or a sentence beyond “host:port pairs”, which may be empty. */
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

/** The address on which to listen; brackets are taken off. */
export const listeningAddress = (host: string): string => bracketed.exec(host)?.groups?.["address"] ?? host;

/** Where this machine reaches what listens on a port of `host`: for all addresses that is on loopback. */
export const localUrl = (host: string, port: number): string => {
  const address = { "0.0.0.0": "127.0.0.1", "::": "::1" }[host] ?? host;
  return `http://${isIPv6(address) ? `[${address}]` : address}:${port}`;
};

/** What is wrong with a list of host names and addresses, each with or without a port. */
export const hostsFlaw = (list: string): string | undefined =>
  listed(list).every((entry) => nameMaybePort.test(entry) || (isIPv6(hostOf(entry)) && !entry.includes("%"))) ? undefined : "";

/**
 * The hosts of a list, as requests are compared with them: in small letters, without port, brackets and the dot at a
 * name's end.
 */
export const hostsOf = (list: string): string[] => listed(list).map((entry) => comparable(hostOf(entry)));

const hostOf = (entry: string): string =>
  bracketed.exec(entry)?.groups?.["address"] ?? (isIPv6(entry) ? entry : entry.replace(/:[0-9]+$/, ""));

/** An IPv6 address has many spellings; URLs know one. */
const comparable = (host: string): string =>
  isIPv6(host) ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host.toLowerCase().replace(/\.$/, "");
