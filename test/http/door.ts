import { afterAll, afterEach, expect } from "bun:test";
import { connect } from "node:net";
import { Type } from "@sinclair/typebox";
import { systemClock } from "../../src/system/clock.ts";
import { endpoint } from "../../src/http/endpoint/endpoint.ts";
import { pathParameter } from "../../src/http/endpoint/parameter.ts";
import { ServedHosts } from "../../src/http/hosts.ts";
import { InFlight } from "../../src/http/in-flight.ts";
import { type HttpServer, serve } from "../../src/http/serve.ts";
import { httpApp } from "../../src/http/app.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { echoEndpoint, testEndpoint } from "../support/http/test-endpoint.ts";

const endpoints = [
  echoEndpoint(1_000),
  endpoint({
    method: "GET",
    path: "/things/:id/parts",
    undocumented: "It is a test's.",
    parameters: [pathParameter("id", { description: "", schema: Type.String(), example: "a" })],
    handle: ({ segments }, { id }) => Response.json(segments.map((segment) => (segment === id ? id : segment))),
  }),
  testEndpoint("GET", "/things/all/parts", (request) => Response.json(["all", request.query("a")])),
  testEndpoint("GET", "/who", ({ client }) => Response.json(client)),
];

/** Starts services for a test file and stops them after it. None of them may log anything. */
export function httpDoor() {
  const logged: string[] = [];
  const logger = createLogger({ level: "info", format: "json", write: (line) => logged.push(line) });
  const services: HttpServer[] = [];
  afterAll(async () => void (await Promise.all(services.map((service) => service.stop()))));
  afterEach(() => expect(logged).toEqual([]));
  function start({ host = "127.0.0.1", allowed_hosts = [] as string[], requests_max = 8, clock = systemClock } = {}) {
    const inFlight = new InFlight(requests_max);
    const app = httpApp(endpoints, inFlight, logger, { hosts: new ServedHosts(host, allowed_hosts), clock });
    const options = { host: "127.0.0.1", port: 0, portSetting: "CART_PORT", shutdown_wait_ms_max: 2_000 } as const;
    const service = serve(app, { ...options, inFlight, clock: systemClock });
    services.push(service);
    return { service, inFlight };
  }
  return start;
}

/** What comes back for bytes sent as they are, until `enough`, the end of the connection, or a second has passed. */
export const exchange = (port: number, request: string | Uint8Array, enough = /\r\n\r\n/): Promise<string> =>
  new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(request));
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const timer = setTimeout(end, 1_000);
    socket.on("data", (data) => {
      text += data.toString();
      if (enough.test(text)) end();
    });
    socket.on("error", end);
    socket.on("close", end);
  });
export const statusOf = async (port: number, request: string) => Number((await exchange(port, request)).slice(9, 12));
