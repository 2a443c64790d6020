import { afterAll, beforeEach } from "bun:test";
import { cartApp } from "../../../src/services/cart/app.ts";
import type { Change } from "../../../src/orders/events/kinds.ts";
import type { CartCommands, CreateOrder, RequestContext } from "../../../src/services/cart/commands/commands.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Readiness } from "../../../src/http/health.ts";
import { InFlight } from "../../../src/http/in-flight.ts";
import { serve } from "../../../src/http/serve.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { ApiDocument } from "../../support/http/api-document.ts";

const BODY_BYTES_MAX = 65_536;
export const IN_FLIGHT_REQUESTS_MAX = 8;

/**
 * The cart's HTTP side, with commands that a test answers. It is made at the top of a test file and reset before each
 * test.
 */
export async function fakeCartService() {
  const inFlight = new InFlight(IN_FLIGHT_REQUESTS_MAX);
  const fake = {
    calls: [] as { readonly command: CreateOrder | ({ readonly orderId: string } & Change); readonly context: RequestContext }[],
    answer: (): Promise<{ partition: number; offset: number }> => Promise.resolve({ partition: 3, offset: 17 }),
    health: { status: "ready", partitions: [] } as Readiness,
    logged: [] as string[],
    inFlight,
  };
  const asNew = { ...fake };
  beforeEach(() => void Object.assign(fake, asNew, { calls: [], logged: [] }));
  const commands: CartCommands = {
    create: (command, context) => (fake.calls.push({ command, context }), fake.answer()),
    change: (orderId, change, context) => (fake.calls.push({ command: { orderId, ...change }, context }), fake.answer()),
  };
  const service = serve(
    cartApp({
      order_port: 8_001,
      commands,
      health: () => fake.health,
      log_name: "in memory",
      clock: systemClock,
      inFlight,
      body_bytes_max: BODY_BYTES_MAX,
      host: "127.0.0.1",
      allowed_hosts: [],
      orders_topic: "orders.events",
      dead_letter_topic: "orders.events.dlq",
      logger: createLogger({ level: "info", format: "json", write: (line) => fake.logged.push(line) }),
    }),
    { host: "127.0.0.1", port: 0, portSetting: "CART_PORT", shutdown_wait_ms_max: 1_000, inFlight, clock: systemClock },
  );
  afterAll(() => service.stop());
  const { ask } = await ApiDocument.of(service.url);
  const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    ask(service.url + path, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" || body instanceof Uint8Array ? (body as BodyInit) : JSON.stringify(body) }),
    });
  return {
    fake,
    url: service.url,
    ask,
    create: (body: unknown, headers?: Record<string, string>) => send("POST", "/create-order", body, headers),
    update: (body: unknown, headers?: Record<string, string>) => send("PUT", "/update-order", body, headers),
  };
}
