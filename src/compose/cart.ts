import { Fleet } from "../fleet/fleet.ts";
import { readiness } from "../http/health.ts";
import { InFlight } from "../http/in-flight.ts";
import { logName } from "../log/log-kinds.ts";
import { cartApp } from "../services/cart/app.ts";
import { CartService } from "../services/cart/service.ts";
import type { NewUuid } from "../system/random.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { advertisedUrl, cartGroup, type PeerOptions } from "./peers.ts";
import { Role, type RoleOptions } from "./role.ts";

export interface CartRoleOptions extends RoleOptions {
  readonly newUuid: NewUuid;
  /** How it shares the index with other carts; without it, it has the index of all partitions. */
  readonly peers?: PeerOptions | undefined;
  /** Whether ADVERTISED_URL is that of an order service in the same process. */
  readonly isBesideOrders?: boolean;
}

/** Makes the cart service's role and does not start it. */
export function cartRole(options: CartRoleOptions): Role<CartService> {
  const { config, logger, clock, tracer, now_s, member, peers, isBesideOrders = false } = options;
  const metrics = now_s && new Metrics("cart", now_s, member?.member);
  const appendMeter = metrics?.appends();
  const snapshotMeter = metrics?.snapshots();
  const fleet: Fleet | undefined =
    peers &&
    new Fleet({
      ...peers,
      topic: config.orders_topic,
      session_timeout_ms: config.session_timeout_ms,
      clock,
      logger,
      meter: metrics?.fleet(() => fleet as Fleet),
    });
  let endpoint = peers?.endpoint;
  const sharing = fleet &&
    peers && {
      group: cartGroup(config.cart_group, peers),
      fleet,
      endpoint: () => endpoint,
      replicas: config.index_replicas,
    };
  const service = new CartService({ ...options, sharing, meter: metrics, snapshotMeter, appendMeter });
  metrics?.watch(() => service.partitions);
  const inFlight = new InFlight(config.in_flight_requests_max);
  const urlAt = (port: number) => advertisedUrl(config, port, member === undefined && !isBesideOrders, peers?.addresses ?? []);
  const { shared } = service;
  const makeApp = () =>
    cartApp({
      ...config,
      advertised_host: peers && new URL(urlAt(config.cart_port)).hostname,
      sharing: fleet && shared && { fleet, shared, logger, appliedFrom: service.appliedFrom },
      log_name: logName(config.log),
      commands: service.commands,
      health: () => readiness(service.partitions, service.refusal),
      inFlight,
      logger,
      metrics,
      members: member?.set("cart"),
      tracer,
      clock,
    });
  const serveOptions = { ...config, port: config.cart_port, portSetting: "CART_PORT", clock } as const;
  const onListening = (port: number) => {
    if (peers) endpoint ??= urlAt(port);
  };
  return new Role({ service, metrics, inFlight, makeApp, serveOptions, ownPort: member?.ownPort("cart"), onListening });
}
