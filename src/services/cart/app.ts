import type { Topics } from "../../api/asyncapi.ts";
import { apiRoutes } from "../../api/routes.ts";
import type { Clock } from "../../system/clock.ts";
import { parseIdempotencyKey, parseTraceparent, parseTracestate } from "../../http/headers.ts";
import { healthRoutes, type Readiness } from "../../http/health.ts";
import { ServedHosts } from "../../http/hosts.ts";
import type { HttpRequest } from "../../http/http-request.ts";
import type { InFlight } from "../../http/in-flight.ts";
import { metricsRoutes } from "../../http/metrics-route.ts";
import { type HttpApp, httpApp } from "../../http/app.ts";
import { formatLogPosition, type LogPosition } from "../../log/log-position.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { RequestTracer } from "../../telemetry/tracer.ts";
import { cartPage } from "./endpoints/cart-page.ts";
import type { CartCommands, RequestContext } from "./commands/commands.ts";
import { cartApi } from "./endpoints/operations.ts";
import { canonicalCreateOrder, canonicalUpdateOrder, parseCreateOrder, parseUpdateOrder } from "./endpoints/requests.ts";

export interface CartAppOptions extends Topics {
  readonly commands: CartCommands;
  readonly health: () => Readiness;
  readonly log_name: string;
  readonly inFlight: InFlight;
  readonly body_bytes_max: number;
  /** Where the service listens, and what other names it is asked by. */
  readonly host: string;
  readonly allowed_hosts: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the order service, whose page the cart's own links to. */
  readonly order_port: number;
  readonly metrics?: Metrics | undefined;
  readonly tracer?: RequestTracer | undefined;
}

/** The cart service's HTTP side: the contract's two commands, health, and what describes them. */
export const cartApp = (options: CartAppOptions): HttpApp => {
  const { commands, health, inFlight, body_bytes_max, logger, metrics, tracer, order_port, clock } = options;
  const createOrder = async (request: HttpRequest): Promise<Response> => {
    const command = parseCreateOrder(request.body);
    const context = requestContext(request, "POST /create-order", () => canonicalCreateOrder(command));
    return published("order created", command.orderId, await commands.create(command, context));
  };
  const updateOrder = async (request: HttpRequest): Promise<Response> => {
    const command = parseUpdateOrder(request.body);
    const context = requestContext(request, "PUT /update-order", () => canonicalUpdateOrder(command));
    return published("order status updated", command.orderId, await commands.updateStatus(command, context));
  };
  return httpApp(
    [
      { method: "POST", path: "/create-order", handle: createOrder, body_bytes_max },
      { method: "PUT", path: "/update-order", handle: updateOrder, body_bytes_max },
      cartPage(order_port),
      ...healthRoutes(options.log_name, health),
      ...metricsRoutes(metrics, clock),
      ...apiRoutes(cartApi, options),
    ],
    inFlight,
    logger,
    { meter: metrics, tracer, hosts: new ServedHosts(options.host, options.allowed_hosts), clock },
  );
};

const noContext: RequestContext = {};

const requestContext = (request: HttpRequest, methodAndPath: string, canonicalBody: () => string): RequestContext => {
  const keyHeader = request.headers.get("idempotency-key");
  const traced = traceContext(request);
  if (keyHeader === null) return traced;
  return {
    ...traced,
    idempotency: { key: parseIdempotencyKey(keyHeader), fingerprint: fingerprint(methodAndPath, canonicalBody()) },
  };
};

/** The request's span where traces are made here; else what the client sent goes on to the record. */
const traceContext = ({ headers, span }: HttpRequest): RequestContext => {
  if (span) return { span };
  const traceparent = parseTraceparent(headers.get("traceparent"));
  if (traceparent === undefined) return noContext;
  const tracestate = parseTracestate(headers.get("tracestate"));
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate };
};

/** Half of a SHA-256 is enough to tell one client's requests from each other. */
const FINGERPRINT_HEX_CHARS = 32;

const fingerprint = (methodAndPath: string, canonicalBody: string): string =>
  new Bun.CryptoHasher("sha256").update(`${methodAndPath}\n${canonicalBody}`).digest("hex").slice(0, FINGERPRINT_HEX_CHARS);

/** Written by hand: an order id is `ORD-` and digits, so there is nothing to escape. */
const published = (what: string, orderId: string, position: LogPosition): Response =>
  new Response(`{"message":"${what} and published successfully","orderId":"${orderId}"}`, {
    headers: { "content-type": "application/json", "log-position": formatLogPosition(position) },
  });
