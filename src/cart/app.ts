import type { Elysia } from "elysia";
import type { Topics } from "../api/asyncapi.ts";
import { apiRoutes } from "../api/routes.ts";
import { readJson } from "../http/body.ts";
import { formatLogPosition, parseIdempotencyKey, parseTraceparent } from "../http/headers.ts";
import { healthRoutes, type Readiness } from "../http/health.ts";
import type { InFlight } from "../http/in-flight.ts";
import { metricsRoutes } from "../http/metrics-route.ts";
import { serviceApp } from "../http/service.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { RequestSpan, RequestTracer } from "../telemetry/tracer.ts";
import { cartPage } from "./cart-page.ts";
import type { CartCommands, Position, RequestContext } from "./commands.ts";
import { cartApi } from "./operations.ts";
import { canonicalCreateOrder, canonicalUpdateOrder, parseCreateOrder, parseUpdateOrder } from "./requests.ts";

export interface CartAppOptions extends Topics {
  readonly commands: CartCommands;
  readonly health: () => Readiness;
  readonly inFlight: InFlight;
  readonly body_bytes_max: number;
  readonly logger: Logger;
  /** Of the order service, whose page the cart's own links to. */
  readonly order_port: number;
  readonly metrics?: Metrics;
  readonly tracer?: RequestTracer | undefined;
}

/** The cart service's HTTP side: the contract's two commands, health, and what describes them. */
export const cartApp = (options: CartAppOptions): Elysia => {
  const { commands, health, inFlight, body_bytes_max, logger, metrics, tracer, order_port } = options;
  const createOrder = async (request: Request, span?: RequestSpan): Promise<Response> => {
    const command = parseCreateOrder(await readJson(request, body_bytes_max));
    const context = requestContext(request, "POST /create-order", () => canonicalCreateOrder(command), span);
    return published("order created", command.orderId, await commands.create(command, context));
  };
  const updateOrder = async (request: Request, span?: RequestSpan): Promise<Response> => {
    const command = parseUpdateOrder(await readJson(request, body_bytes_max));
    const context = requestContext(request, "PUT /update-order", () => canonicalUpdateOrder(command), span);
    return published("order status updated", command.orderId, await commands.updateStatus(command, context));
  };
  return serviceApp(
    [
      { method: "POST", path: "/create-order", handle: createOrder },
      { method: "PUT", path: "/update-order", handle: updateOrder },
      cartPage(order_port),
      ...healthRoutes(health),
      ...metricsRoutes(metrics),
      ...apiRoutes(cartApi, options),
    ],
    inFlight,
    logger,
    { meter: metrics, tracer },
  );
};

const noContext: RequestContext = {};

const requestContext = (
  { headers }: Request,
  methodAndPath: string,
  canonicalBody: () => string,
  span: RequestSpan | undefined,
): RequestContext => {
  const keyHeader = headers.get("idempotency-key");
  const traced = traceContext(headers, span);
  if (keyHeader === null) return traced;
  return {
    ...traced,
    idempotency: { key: parseIdempotencyKey(keyHeader), fingerprint: fingerprint(methodAndPath, canonicalBody()) },
  };
};

/** The request's span where traces are made here; else what the client sent goes on to the record. */
const traceContext = (headers: Headers, span: RequestSpan | undefined): RequestContext => {
  if (span) return { span };
  const traceparent = parseTraceparent(headers.get("traceparent"));
  return traceparent === undefined ? noContext : { traceparent };
};

/** Half of a SHA-256 is enough to tell one client's requests from each other. */
const FINGERPRINT_HEX_CHARS = 32;

const fingerprint = (methodAndPath: string, canonicalBody: string): string =>
  new Bun.CryptoHasher("sha256").update(`${methodAndPath}\n${canonicalBody}`).digest("hex").slice(0, FINGERPRINT_HEX_CHARS);

/** Written by hand: an order id is `ORD-` and digits, so there is nothing to escape. */
const published = (what: string, orderId: string, position: Position): Response =>
  new Response(`{"message":"${what} and published successfully","orderId":"${orderId}"}`, {
    headers: { "content-type": "application/json", "log-position": formatLogPosition(position) },
  });
