import { withDocuments } from "../../../src/api/document-endpoints.ts";
import type { Endpoint } from "../../../src/http/endpoint/endpoint.ts";
import { CART_SERVICE } from "../../../src/services/cart/app.ts";
import { cartEndpoints, type CartEndpointsOptions } from "../../../src/services/cart/endpoints.ts";
import { ORDER_SERVICE } from "../../../src/services/orders/app.ts";
import { orderEndpoints, type OrderEndpointsOptions } from "../../../src/services/orders/endpoints.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { Metrics } from "../../../src/telemetry/metrics.ts";

export const TOPICS = { orders_topic: "orders.events", dead_letter_topic: "orders.events.dlq" };

const now_s = () => 0;

/** All endpoints of each service, for tests of how they describe themselves; there is nothing behind them. */
export function serviceEndpoints(): { readonly cart: readonly Endpoint[]; readonly orders: readonly Endpoint[] } {
  const cart = cartEndpoints({ metrics: new Metrics("cart", now_s), clock: systemClock } as CartEndpointsOptions);
  const orders = orderEndpoints({
    ...TOPICS,
    metrics: new Metrics("order-service", now_s),
    clock: systemClock,
    cart: () => Promise.reject(new Error("there is no cart")),
  } as unknown as OrderEndpointsOptions);
  return { cart: withDocuments(CART_SERVICE, cart, TOPICS), orders: withDocuments(ORDER_SERVICE, orders, TOPICS) };
}
