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
