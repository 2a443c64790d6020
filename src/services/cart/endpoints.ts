import { liveEndpoint, readyEndpoint } from "../../api/health-endpoints.ts";
import { metricsEndpoint } from "../../api/metrics-endpoint.ts";
import type { Endpoint } from "../../http/endpoint/endpoint.ts";
import type { Readiness } from "../../http/health.ts";
import type { Clock } from "../../system/clock.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { CartCommands } from "./commands/commands.ts";
import { cartPage } from "./endpoints/cart-page.ts";
import { createOrder } from "./endpoints/create-order.ts";
import { updateOrder } from "./endpoints/update-order.ts";

export interface CartEndpointsOptions {
  readonly commands: CartCommands;
  readonly body_bytes_max: number;
  readonly health: () => Readiness;
  readonly log_name: string;
  /** The order service's port; the cart's own page links to the page there. */
  readonly order_port: number;
  readonly metrics?: Metrics | undefined;
  readonly clock: Clock;
}

/**
 * Every endpoint of the cart service except the documents made from this list. The routes, the API document and the
 * request metrics all come from it.
 */
export const cartEndpoints = (options: CartEndpointsOptions): Endpoint[] => {
  const { commands, body_bytes_max, health, log_name, order_port, metrics, clock } = options;
  return [
    createOrder(commands, body_bytes_max),
    updateOrder(commands, body_bytes_max),
    cartPage(order_port),
    liveEndpoint(health),
    readyEndpoint(log_name, health),
    ...(metrics ? [metricsEndpoint(metrics, clock)] : []),
  ];
};
