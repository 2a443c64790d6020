import { join } from "node:path";
import { liveEndpoint, readyEndpoint } from "../../api/health-endpoints.ts";
import { metricsEndpoint } from "../../api/metrics-endpoint.ts";
import type { Endpoint } from "../../http/endpoint/endpoint.ts";
import { readiness } from "../../http/health.ts";
import { pageEndpoints } from "../../http/page.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { deadLetters, type DeadLettersOptions } from "./dead-letters/dead-letters-endpoint.ts";
import { orderEvents, type OrderEventsOptions } from "./history/order-events-endpoint.ts";
import type { Live } from "./live/live.ts";
import { liveFigures } from "./live/live-endpoint.ts";
import { partitionOrders, type PartitionOrdersOptions } from "./operator/partition-orders-endpoint.ts";
import { partitionsHeld, type PartitionsOptions } from "./operator/partitions-endpoint.ts";
import { rebuildPartition, type RebuildOptions } from "./operator/rebuild-endpoint.ts";
import { type CartHandle, tryEndpoints } from "./page/try-endpoints.ts";
import { sliceEndpoints, type SliceOptions } from "./slices.ts";

export interface OrderEndpointsOptions
  extends SliceOptions, PartitionsOptions, PartitionOrdersOptions, RebuildOptions, OrderEventsOptions, DeadLettersOptions {
  readonly live: Live;
  /** The cart that runs in the same process, if one does. */
  readonly cart: CartHandle | undefined;
  readonly metrics?: Metrics | undefined;
}

/**
 * Every endpoint of the order service except the documents made from this list. The routes, the API document and the
 * request metrics all come from it.
 */
export const orderEndpoints = (options: OrderEndpointsOptions): Endpoint[] => {
  const { live, cart, metrics, log_name, clock } = options;
  const health = () => readiness(options.partitions);
  return [
    ...sliceEndpoints(options),
    partitionsHeld(options),
    partitionOrders(options),
    rebuildPartition(options),
    orderEvents(options),
    deadLetters(options),
    liveFigures(live),
    ...tryEndpoints(cart),
    ...pageEndpoints(join(import.meta.dir, "page", "index.html")),
    liveEndpoint(health),
    readyEndpoint(log_name, health),
    ...(metrics ? [metricsEndpoint(metrics, clock)] : []),
  ];
};
