import { afterEach, describe, expect, test } from "bun:test";
import pino from "pino";
import { httpApp } from "../../src/http/app.ts";
import { endpoint } from "../../src/http/endpoint/endpoint.ts";
import { InFlight } from "../../src/http/in-flight.ts";
import { freePorts, type HttpServer, serve, type ServeOptions } from "../../src/http/serve.ts";
import { systemClock } from "../../src/system/clock.ts";

const HOST = "127.0.0.1";
const running: HttpServer[] = [];
afterEach(() => Promise.all(running.splice(0).map((server) => server.stop())));

function start(options: Partial<ServeOptions> = {}): HttpServer {
  const inFlight = new InFlight(10);
  const hello = endpoint({
    method: "GET",
    path: "/",
    undocumented: "a test's",
    handle: ({ isShared }) => new Response(`hello${isShared ? " from a shared port" : ""}`),
  });
  const app = httpApp([hello], inFlight, pino({ level: "silent" }), { clock: systemClock });
  const server = serve(app, {
    host: HOST,
    port: 0,
    portSetting: "CART_PORT",
    shutdown_wait_ms_max: 1_000,
    inFlight,
    clock: systemClock,
    ...options,
  });
  running.push(server);
  return server;
}

/** Sends a request, and calls `onSent` while the connection is in the listener's queue. Resolves with the answer. */
function queuedRequest(port: number, onSent: () => void): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    void Bun.connect({
      hostname: HOST,
      port,
      socket: {
        open: (socket) => {
          socket.write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
          onSent();
        },
        data: (_, data) => void (answer += data.toString()),
        error: (_, e) => void (answer += String(e)),
        close: () => resolve(answer),
      },
    });
  });
}

describe("a server that stops", () => {
  test("answers the connections that were queued, and does not reset them", async () => {
    const server = start();
    let stopped: Promise<number> | undefined;
    const answer = await queuedRequest(server.port, () => void (stopped = server.stop()));
    expect(answer).toStartWith("HTTP/1.1 503 ");
    expect(answer).toContain("SHUTTING_DOWN");
    expect(await stopped).toBe(0);
  });
});

describe("a port that several servers share", () => {
  test("takes more of them, and their requests say that they came there", async () => {
    const first = start({ isShared: true });
    const second = start({ isShared: true, port: first.port });
    expect(second.port).toBe(first.port);
    expect(await (await fetch(first.url)).text()).toBe("hello from a shared port");
    await first.stop();
    expect(await (await fetch(second.url)).text()).toBe("hello from a shared port");
  });

  test("is not free, for a server of its own and for others that would share it", () => {
    const { port } = start({ isShared: true });
    for (const claim of [() => start({ port }), () => freePorts(HOST, [{ port, portSetting: "CART_PORT" }])]) {
      expect(claim).toThrow(`Another program listens on ${HOST}:${port}. Stop it, or set CART_PORT to another port.`);
    }
  });
});

test("free ports are told apart, and are free again", () => {
  const [cart, orders] = freePorts(HOST, [
    { port: 0, portSetting: "CART_PORT" },
    { port: 0, portSetting: "ORDER_PORT" },
  ]) as [number, number];
  expect(cart).not.toBe(orders);
  for (const port of [cart, orders]) expect(start({ port, isShared: true }).port).toBe(port);
});
