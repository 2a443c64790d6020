import { Fleet } from "../fleet/fleet.ts";
import { InFlight } from "../http/in-flight.ts";
import { logName } from "../log/log-kinds.ts";
import { orderServiceApp } from "../services/orders/app.ts";
import { REBUILD_ASKED } from "../runtime/partition-stores.ts";
import { LiveSampler } from "../services/orders/live/live-sampler.ts";
import type { CartHandle } from "../services/orders/page/try-endpoints.ts";
import { heldUpdatesOf } from "../services/orders/query/queries.ts";
import { OrderService } from "../services/orders/service.ts";
import { querySide } from "../services/orders/query-side.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { advertisedUrl, noTransport, type PeerOptions } from "./peers.ts";
import { Role, type RoleOptions } from "./role.ts";

export interface OrderServiceRoleOptions extends RoleOptions {
  /** The handle of the cart in the same process, if there is one. */
  readonly cart?: CartHandle | undefined;
  /** How it asks other order services and is asked by them; without it, it is alone. */
  readonly peers?: PeerOptions | undefined;
  /** As the listing of all ids takes it. */
  readonly page_ids_max?: number | undefined;
}

/** Makes the order service's role and does not start it. */
export function orderServiceRole(options: OrderServiceRoleOptions): Role<OrderService> {
  const { config, log, logger, clock, tracer, now_s, member, cart, peers } = options;
  const metrics = now_s && new Metrics("order-service", now_s, member?.member);
  const sampler = new LiveSampler(clock);
  const fleet: Fleet = new Fleet({
    secret: peers?.secret,
    topic: config.orders_topic,
    session_timeout_ms: config.session_timeout_ms,
    transport: peers?.transport ?? noTransport,
    clock,
    logger,
    meter: metrics?.fleet(() => fleet),
  });
  let endpoint = peers?.endpoint;
  const service = new OrderService({
    ...options,
    fleet,
    endpoint: () => endpoint,
    metrics,
    snapshotMeter: metrics?.snapshots(),
    onReadable: sampler.noteReadable,
  });
  const { partitions } = service;
  metrics?.watch(() => partitions, heldUpdatesOf);
  metrics?.standbys(() => partitions.standbys(), config.standbys);
  const staleMeter = metrics?.stale();
  const inFlight = new InFlight(config.in_flight_requests_max);
  const views = querySide({ config, log, partitions, fleet, inFlight, sampler, cart, clock });
  const urlAt = (port: number) => advertisedUrl(config, port, member === undefined, peers?.addresses ?? []);
  const makeApp = () =>
    orderServiceApp({
      ...config,
      advertised_host: new URL(urlAt(config.order_port)).hostname,
      log_name: logName(config.log),
      partitions,
      fleet,
      appliedFrom: service.appliedFrom,
      rebuild: (partition) => partitions.rebuild(partition, REBUILD_ASKED),
      ...views,
      page_ids_max: options.page_ids_max,
      cart,
      inFlight,
      logger,
      metrics,
      staleMeter,
      members: member?.set("order-service"),
      tracer,
      clock,
    });
  const serveOptions = { ...config, port: config.order_port, portSetting: "ORDER_PORT", clock } as const;
  const onListening = (port: number) => {
    if (peers) endpoint ??= urlAt(port);
  };
  const ownPort = member?.ownPort("order-service");
  return new Role({ service, metrics, inFlight, makeApp, views, serveOptions, ownPort, onListening });
}
