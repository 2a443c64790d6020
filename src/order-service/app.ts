import type { Elysia } from "elysia";
import { AppError } from "../errors.ts";
import type { Topics } from "../api/asyncapi.ts";
import { apiRoutes } from "../api/routes.ts";
import { parseLogPosition } from "../http/headers.ts";
import { healthRoutes, readiness } from "../http/health.ts";
import { InFlight } from "../http/in-flight.ts";
import { metricsRoutes } from "../http/metrics-route.ts";
import { type Route, serviceApp } from "../http/service.ts";
import { formatMoney, shippingCost } from "../orders/money.ts";
import { normalizeOrderId, ORDER_ID_DIGITS_MAX } from "../orders/order-id.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { RequestTracer } from "../telemetry/tracer.ts";
import { orderServiceApi } from "./operations.ts";
import { type OperatorRoutesOptions, operatorRoutes } from "./operator-routes.ts";
import { orderJson } from "./order-json.ts";
import {
  findOrder,
  mergedOrderIds,
  type OrderPartitions,
  type PartitionOf,
  partitionsElsewhere,
  requireAssignment,
  requireComplete,
  waitForPosition,
} from "./queries.ts";

export interface OrderServiceAppOptions extends OperatorRoutesOptions, Topics {
  readonly partitions: OrderPartitions;
  readonly partitionOf: PartitionOf;
  /** The topic consumed here; any other has no orders. */
  readonly orders_topic: string;
  readonly read_wait_ms_max: number;
  readonly inFlight: InFlight;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  readonly tracer?: RequestTracer | undefined;
  /** What is served beside the contract's and the operator's: histories, live figures, the page. */
  readonly otherRoutes?: readonly Route[];
}

/** Listings at the same time; each holds some pages of ids. */
export const LISTINGS_MAX = 32;
const CHUNK_CHARS = 65_536;

/** The order service's HTTP side: the contract's two queries, the operator's, health, and what describes them. */
export const orderServiceApp = (options: OrderServiceAppOptions): Elysia => {
  const { partitions, partitionOf, orders_topic, read_wait_ms_max, inFlight, logger, metrics, tracer } = options;
  const listings = new InFlight(LISTINGS_MAX);

  const orderDetails = async (request: Request): Promise<Response> => {
    const given = new URL(request.url).searchParams.get("orderId");
    const orderId = given === null ? undefined : normalizeOrderId(given);
    if (orderId === undefined) {
      throw invalid("orderId", `be 1 to ${ORDER_ID_DIGITS_MAX} digits, with or without ORD- before them, such as ORD-123`);
    }
    const position = request.headers.get("log-position");
    if (position !== null) await waitForPosition(partitions, parseLogPosition(position), read_wait_ms_max);
    const order = findOrder(partitions, partitionOf, orderId);
    const shipping = formatMoney(shippingCost(order.total_hundredths));
    return new Response(`{"order":${orderJson(order)},"shippingCost":${shipping}}`, { headers: jsonHeaders });
  };

  const allOrderIds = (request: Request): Response => {
    const topicName = new URL(request.url).searchParams.get("topicName");
    if (topicName === null || topicName === "") throw invalid("topicName", `be the name of a topic, such as ${orders_topic}`);
    if (topicName !== orders_topic) {
      return new Response(`${listStart(topicName)}${LIST_END}`, { headers: jsonHeaders });
    }
    requireAssignment(partitions);
    requireComplete(partitions);
    const elsewhere = partitionsElsewhere(partitions);
    const headers = elsewhere.length === 0 ? jsonHeaders : { ...jsonHeaders, "partitions-elsewhere": elsewhere.join(",") };
    listings.enter();
    return new Response(
      orderIdStream(topicName, mergedOrderIds(partitions), () => listings.leave(), logger),
      { headers },
    );
  };

  return serviceApp(
    [
      { method: "GET", path: "/order-details", handle: orderDetails },
      { method: "GET", path: "/getAllOrderIdsFromTopic", handle: allOrderIds },
      ...operatorRoutes(options),
      ...(options.otherRoutes ?? []),
      ...healthRoutes(() => readiness(partitions)),
      ...metricsRoutes(metrics),
      ...apiRoutes(orderServiceApi, options),
    ],
    inFlight,
    logger,
    { meter: metrics, tracer },
  );
};

const jsonHeaders = { "content-type": "application/json", "cache-control": "no-store" };

const invalid = (field: string, must: string): AppError => {
  const detail = `${field} must ${must}.`;
  return new AppError("INVALID_FIELD", detail, { errors: [{ field, detail }] });
};

const listStart = (topicName: string): string => `{"topicName":${JSON.stringify(topicName)},"orderIds":[`;
const LIST_END = "]}";

/**
 * Reads ids only as fast as the client takes them, a chunk at a time. A failure in the middle breaks the transfer off, so
 * that no client takes a part for the whole. `done` is called once, however it ends.
 */
const orderIdStream = (
  topicName: string,
  ids: Iterator<string>,
  done: () => void,
  logger: Logger,
): ReadableStream<Uint8Array> => {
  let text = listStart(topicName);
  let separator = "";
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        try {
          while (text.length < CHUNK_CHARS) {
            const next = ids.next();
            if (next.done) {
              controller.enqueue(Buffer.from(text + LIST_END));
              controller.close();
              done();
              return;
            }
            text += `${separator}"${next.value}"`;
            separator = ",";
          }
          controller.enqueue(Buffer.from(text));
          text = "";
        } catch (e) {
          logger.warn({ err: e }, "a listing was broken off");
          controller.error(e);
          done();
        }
      },
      cancel: done,
    },
    { highWaterMark: 0 },
  );
};
