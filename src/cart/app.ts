import type { Elysia } from "elysia";
import { readJson } from "../http/body.ts";
import { formatLogPosition, parseIdempotencyKey, parseTraceparent } from "../http/headers.ts";
import { healthRoutes, type Readiness } from "../http/health.ts";
import type { InFlight } from "../http/in-flight.ts";
import { serviceApp } from "../http/service.ts";
import type { Logger } from "../telemetry/logger.ts";
import { cartPage } from "./cart-page.ts";
import type { CartCommands, Position, RequestContext } from "./commands.ts";
import { canonicalCreateOrder, canonicalUpdateOrder, parseCreateOrder, parseUpdateOrder } from "./requests.ts";

export interface CartAppOptions {
  readonly commands: CartCommands;
  readonly health: () => Readiness;
  readonly inFlight: InFlight;
  readonly body_bytes_max: number;
  readonly logger: Logger;
  /** Of the order service, whose page the cart's own links to. */
  readonly order_port: number;
}

/** The cart service's HTTP side: the contract's two commands, and health. */
export const cartApp = ({ commands, health, inFlight, body_bytes_max, logger, order_port }: CartAppOptions): Elysia => {
  const createOrder = async (request: Request): Promise<Response> => {
    const command = parseCreateOrder(await readJson(request, body_bytes_max));
    const context = requestContext(request, "POST /create-order", () => canonicalCreateOrder(command));
    return published("order created", command.orderId, await commands.create(command, context));
  };
  const updateOrder = async (request: Request): Promise<Response> => {
    const command = parseUpdateOrder(await readJson(request, body_bytes_max));
    const context = requestContext(request, "PUT /update-order", () => canonicalUpdateOrder(command));
    return published("order status updated", command.orderId, await commands.updateStatus(command, context));
  };
  return serviceApp(
    [
      { method: "POST", path: "/create-order", handle: createOrder },
      { method: "PUT", path: "/update-order", handle: updateOrder },
      cartPage(order_port),
      ...healthRoutes(health),
    ],
    inFlight,
    logger,
  );
};

const noContext: RequestContext = {};

const requestContext = ({ headers }: Request, methodAndPath: string, canonicalBody: () => string): RequestContext => {
  const keyHeader = headers.get("idempotency-key");
  const traceparent = parseTraceparent(headers.get("traceparent"));
  if (keyHeader === null) return traceparent === undefined ? noContext : { traceparent };
  const idempotency = { key: parseIdempotencyKey(keyHeader), fingerprint: fingerprint(methodAndPath, canonicalBody()) };
  return traceparent === undefined ? { idempotency } : { idempotency, traceparent };
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
