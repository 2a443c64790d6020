import { createHmac } from "node:crypto";
import { reachableUrl, urlWithPort } from "../config/addresses.ts";
import type { Config } from "../config/config.ts";
import type { PeerTransport } from "../fleet/peer-transport.ts";

/** How a role asks others of its kind, and is asked by them. */
export interface PeerOptions {
  readonly secret: string;
  readonly transport: PeerTransport;
  /** This machine's addresses that other machines may know. */
  readonly addresses: readonly string[];
  /** Where others reach this one, if that does not follow from the settings and the port. */
  readonly endpoint?: string;
}

const MARK_HEX_CHARS = 8;

/**
 * The name of the group of carts. Those that do not trust each other must not share anything, or a cart with another
 * secret would take a share and refuse what the others pass on, so the name tells which secret they have.
 */
export function cartGroup(name: string, { secret }: Pick<PeerOptions, "secret">): string {
  const mark = createHmac("sha256", secret).update("the group of carts").digest("hex").slice(0, MARK_HEX_CHARS);
  return `${name}-${mark}`;
}

/** A role without peers asks nobody. */
export const noTransport: PeerTransport = () => Promise.reject(new Error("there is nobody to ask"));

/**
 * Where others reach a role that listens on this port. `hasOwnUrl` says whether ADVERTISED_URL is this role's: at a port
 * that members share others would reach any of them, and at another role's port the wrong one.
 */
export function advertisedUrl(
  config: Pick<Config, "advertised_url" | "host">,
  port: number,
  hasOwnUrl: boolean,
  addresses: readonly string[],
): string {
  if (config.advertised_url === undefined) return reachableUrl(config.host, port, addresses);
  return hasOwnUrl ? config.advertised_url : urlWithPort(config.advertised_url, port);
}
