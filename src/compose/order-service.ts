import { InFlight } from "../http/in-flight.ts";
import { logName } from "../log/log-kinds.ts";
import { partitionFor } from "../log/partitioner.ts";
import { orderServiceApp } from "../services/orders/app.ts";
import { LiveSampler } from "../services/orders/live/live-sampler.ts";
import type { CartHandle } from "../services/orders/page/try-endpoints.ts";
import { heldUpdatesOf } from "../services/orders/query/queries.ts";
import { OrderService, REBUILD_ASKED } from "../services/orders/service.ts";
import { querySide } from "../services/orders/query-side.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { Role, type RoleOptions } from "./role.ts";

export interface OrderServiceRoleOptions extends RoleOptions {
  /** The handle of the cart in the same process, if there is one. */
  readonly cart?: CartHandle | undefined;
}

/** Makes the order service's role and does not start it. */
export function orderServiceRole(options: OrderServiceRoleOptions): Role<OrderService> {
  const { config, log, logger, clock, tracer, now_s, cart } = options;
  const metrics = now_s && new Metrics("order-service", now_s);
  const sampler = new LiveSampler(clock);
  const service = new OrderService({ ...options, metrics, onReadable: sampler.noteReadable });
  const { partitions } = service;
  metrics?.watch(() => partitions, heldUpdatesOf);
  const inFlight = new InFlight(config.in_flight_requests_max);
  const partitionOf = (orderId: string, partitionCount: number) => partitionFor(config.partitioner, orderId, partitionCount);
  const views = querySide({ config, log, partitions, sampler, cart, clock });
  const makeApp = () =>
    orderServiceApp({
      ...config,
      log_name: logName(config.log),
      partitions,
      partitionOf,
      rebuild: (partition) => partitions.rebuild(partition, REBUILD_ASKED),
      ...views,
      cart,
      inFlight,
      logger,
      metrics,
      tracer,
      clock,
    });
  const serveOptions = { ...config, port: config.order_port, portSetting: "ORDER_PORT", clock } as const;
  return new Role({ service, metrics, inFlight, makeApp, views, serveOptions });
}
