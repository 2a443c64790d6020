import { join } from "node:path";
import { appliedHop, type LookApplied } from "../../fleet/earlier-state.ts";
import { liveEndpoint, readyEndpoint } from "../../api/health-endpoints.ts";
import type { MemberSet } from "../../api/member-set.ts";
import { metricsEndpoint } from "../../api/metrics-endpoint.ts";
import type { Endpoint } from "../../http/endpoint/endpoint.ts";
import { readiness } from "../../http/health.ts";
import { pageEndpoints } from "../../http/page.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { deadLetters, type DeadLettersOptions } from "./dead-letters/dead-letters-endpoint.ts";
import { orderEvents, type OrderEventsOptions } from "./history/order-events-endpoint.ts";
import { type IdsHopOptions, idsHop } from "./hops/ids-hop.ts";
import { type OrderHopOptions, orderHop } from "./hops/order-hop.ts";
import { figuresHop } from "./live/figures-hop.ts";
import type { Live } from "./live/live.ts";
import { liveFigures } from "./live/live-endpoint.ts";
import { partitionOrders, type PartitionOrdersOptions } from "./operator/partition-orders-endpoint.ts";
import { partitionsHeld, type PartitionsOptions } from "./operator/partitions-endpoint.ts";
import { rebuildPartition, type RebuildOptions } from "./operator/rebuild-endpoint.ts";
import { type CartHandle, tryEndpoints } from "./page/try-endpoints.ts";
import { sliceEndpoints, type SliceOptions } from "./slices.ts";

export interface OrderEndpointsOptions
  extends
    SliceOptions,
    PartitionsOptions,
    PartitionOrdersOptions,
    RebuildOptions,
    OrderEventsOptions,
    DeadLettersOptions,
    OrderHopOptions,
    IdsHopOptions {
  readonly live: Live;
  readonly appliedFrom: LookApplied;
  /** The cart that runs in the same process, if one does. */
  readonly cart: CartHandle | undefined;
  readonly metrics?: Metrics | undefined;
  /** Where several members share the port. */
  readonly members?: MemberSet | undefined;
}

/**
 * Every endpoint of the order service except the documents made from this list. The routes, the API document and the
 * request metrics all come from it.
 */
export const orderEndpoints = (options: OrderEndpointsOptions): Endpoint[] => {
  const { live, cart, metrics, members, log_name, clock } = options;
  const health = () => readiness(options.partitions);
  return [
    ...sliceEndpoints(options),
    ...partitionsHeld(options),
    ...partitionOrders(options),
    ...rebuildPartition(options),
    orderEvents(options),
    deadLetters(options),
    liveFigures(live),
    figuresHop(options.fleet, live),
    appliedHop(options.fleet, options.appliedFrom),
    orderHop(options),
    idsHop(options),
    ...tryEndpoints(cart),
    ...pageEndpoints(join(import.meta.dir, "page", "index.html")),
    liveEndpoint(health, members),
    readyEndpoint(log_name, health, members),
    ...(metrics ? [metricsEndpoint(metrics, clock, members)] : []),
  ];
};
