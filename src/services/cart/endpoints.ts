import { liveEndpoint, readyEndpoint } from "../../api/health-endpoints.ts";
import type { MemberSet } from "../../api/member-set.ts";
import { metricsEndpoint } from "../../api/metrics-endpoint.ts";
import { appliedHop, type LookApplied } from "../../fleet/earlier-state.ts";
import type { Endpoint } from "../../http/endpoint/endpoint.ts";
import type { Readiness } from "../../http/health.ts";
import type { Clock } from "../../system/clock.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { CartCommands } from "./commands/commands.ts";
import { cartPage } from "./endpoints/cart-page.ts";
import { createOrder } from "./endpoints/create-order.ts";
import { updateOrder } from "./endpoints/update-order.ts";
import { indexHops, type IndexHopsOptions } from "./sharing/index-hops.ts";

export interface CartEndpointsOptions {
  readonly commands: CartCommands;
  readonly body_bytes_max: number;
  readonly health: () => Readiness;
  readonly log_name: string;
  /** The order service's port; the cart's own page links to the page there. */
  readonly order_port: number;
  readonly metrics?: Metrics | undefined;
  /** Where several members share the port. */
  readonly members?: MemberSet | undefined;
  /** Where the index is shared with other carts. */
  readonly sharing?: (Pick<IndexHopsOptions, "fleet" | "shared" | "logger"> & { readonly appliedFrom: LookApplied }) | undefined;
  readonly clock: Clock;
}

/**
 * Every endpoint of the cart service except the documents made from this list. The routes, the API document and the
 * request metrics all come from it.
 */
export const cartEndpoints = (options: CartEndpointsOptions): Endpoint[] => {
  const { commands, body_bytes_max, health, log_name, order_port, metrics, members, sharing, clock } = options;
  return [
    createOrder(commands, body_bytes_max),
    updateOrder(commands, body_bytes_max),
    cartPage(order_port),
    liveEndpoint(health, members),
    readyEndpoint(log_name, health, members),
    ...(sharing ? [...indexHops({ ...sharing, body_bytes_max, clock }), appliedHop(sharing.fleet, sharing.appliedFrom)] : []),
    ...(metrics ? [metricsEndpoint(metrics, clock, members)] : []),
  ];
};
