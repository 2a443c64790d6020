import { AppError, isAppError } from "../../errors.ts";
import type { Topics } from "../../api/asyncapi.ts";
import { apiRoutes } from "../../api/routes.ts";
import { STREAM_HEADERS } from "../../http/headers.ts";
import { healthRoutes, readiness } from "../../http/health.ts";
import { ServedHosts } from "../../http/hosts.ts";
import type { HttpRequest } from "../../http/http-request.ts";
import type { InFlight } from "../../http/in-flight.ts";
import { metricsRoutes } from "../../http/metrics-route.ts";
import { Permits } from "../../http/permits.ts";
import { type HttpApp, type Route, serviceApp } from "../../http/service.ts";
import { formatMoney, shippingCost } from "../../orders/money.ts";
import { normalizeOrderId, ORDER_ID_DIGITS_MAX } from "../../orders/order-id.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { RequestTracer } from "../../telemetry/tracer.ts";
import type { Order } from "../../orders/order.ts";
import { mergedOrderIds } from "./query/merged-order-ids.ts";
import { orderServiceApi } from "./operations.ts";
import { type OperatorRoutesOptions, operatorRoutes } from "./operator/operator-routes.ts";
import { orderJson } from "./query/order-json.ts";
import { emptyListing, orderListing, Turns } from "./query/order-listing.ts";
import {
  findOrder,
  type OrderPartitions,
  type PartitionOf,
  partitionsElsewhere,
  requireAssignment,
  unreadOf,
  requireAllTrusted,
} from "./query/queries.ts";
import { waitForRequested } from "./query/requested-position.ts";
import type { UnreadRecords } from "./query/unread-records.ts";

export interface OrderServiceAppOptions extends OperatorRoutesOptions, Topics {
  readonly partitions: OrderPartitions;
  readonly partitionOf: PartitionOf;
  /** The topic consumed here; any other has no orders. */
  readonly orders_topic: string;
  readonly read_wait_ms_max: number;
  readonly inFlight: InFlight;
  readonly unread?: UnreadRecords;
  /** Where the service listens, and what other names it is asked by. */
  readonly host: string;
  readonly allowed_hosts: readonly string[];
  readonly metrics?: Metrics;
  readonly tracer?: RequestTracer | undefined;
  /** What is served beside the contract's and the operator's: histories, live figures, the page. */
  readonly otherRoutes?: readonly Route[];
}

/** Listings at the same time; each holds some pages of ids. */
export const LISTINGS_MAX = 32;

/** The order service's HTTP side: the contract's two queries, the operator's, health, and what describes them. */
export const orderServiceApp = (options: OrderServiceAppOptions): HttpApp => {
  const { partitions, partitionOf, orders_topic, read_wait_ms_max, inFlight, logger, metrics, tracer, clock } = options;
  const listings = new Permits(LISTINGS_MAX, "listings");
  const turns = new Turns(clock);

  /** An order that nobody knows is looked for in what partitions have not applied, too. */
  const find = async (orderId: string, client: string): Promise<Order> => {
    try {
      return findOrder(partitions, partitionOf, orderId);
    } catch (e) {
      const unread = unreadOf(partitions, partitionOf, orderId);
      if (!isAppError(e) || e.code === "ORDER_NOT_FOUND" || unread.length === 0 || !options.unread) throw e;
      return findOrder(partitions, partitionOf, orderId, await options.unread.without(orderId, unread, client));
    }
  };

  const orderDetails = async (request: HttpRequest): Promise<Response> => {
    const given = request.parameter("orderId");
    const orderId = given === undefined ? undefined : normalizeOrderId(given);
    if (orderId === undefined) {
      throw invalid("orderId", `be 1 to ${ORDER_ID_DIGITS_MAX} digits, with or without ORD- before them, such as ORD-123`);
    }
    await waitForRequested(request, partitions, read_wait_ms_max, inFlight.waiting);
    const order = await find(orderId, request.client);
    const shipping = formatMoney(shippingCost(order.total_hundredths));
    return new Response(`{"order":${orderJson(order)},"shippingCost":${shipping}}`, { headers: jsonHeaders });
  };

  const allOrderIds = (request: HttpRequest): Response => {
    const topicName = request.parameter("topicName");
    if (topicName === undefined || topicName === "")
      throw invalid("topicName", `be the name of a topic, such as ${orders_topic}`);
    if (topicName !== orders_topic) return new Response(emptyListing(topicName), { headers: listingHeaders });
    requireAssignment(partitions);
    requireAllTrusted(partitions);
    const elsewhere = partitionsElsewhere(partitions);
    const missing = elsewhere.length === 0 ? {} : { "partitions-elsewhere": elsewhere.join(",") };
    const release = listings.acquire(request.client);
    const body = orderListing(topicName, mergedOrderIds(partitions), turns, release, logger);
    return new Response(body, { headers: { ...listingHeaders, ...missing } });
  };

  return serviceApp(
    [
      { method: "GET", path: "/order-details", handle: orderDetails },
      { method: "GET", path: "/getAllOrderIdsFromTopic", handle: allOrderIds },
      ...operatorRoutes(options),
      ...(options.otherRoutes ?? []),
      ...healthRoutes(options.log_name, () => readiness(partitions)),
      ...metricsRoutes(metrics, clock),
      ...apiRoutes(orderServiceApi, options),
    ],
    inFlight,
    logger,
    { meter: metrics, tracer, hosts: new ServedHosts(options.host, options.allowed_hosts), clock },
  );
};

const jsonHeaders = { "content-type": "application/json", "cache-control": "no-store" };
const listingHeaders = { "content-type": "application/json", ...STREAM_HEADERS };

const invalid = (field: string, must: string): AppError => {
  const detail = `${field} must ${must}.`;
  return new AppError("INVALID_FIELD", detail, { errors: [{ field, detail }] });
};
