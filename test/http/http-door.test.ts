import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { Type } from "@sinclair/typebox";
import { type Clock, systemClock } from "../../src/system/clock.ts";
import { isAppError } from "../../src/errors.ts";
import { endpoint } from "../../src/http/endpoint/endpoint.ts";
import { pathParameter } from "../../src/http/endpoint/parameter.ts";
import { parseTracestate } from "../../src/http/headers.ts";
import { hostName, ServedHosts } from "../../src/http/hosts.ts";
import { clientOf, HttpRequest } from "../../src/http/http-request.ts";
import { InFlight } from "../../src/http/in-flight.ts";
import { clientShare, Permits } from "../../src/http/permits.ts";
import { type HttpServer, serve } from "../../src/http/serve.ts";
import { httpApp } from "../../src/http/app.ts";
import { BODY_WAIT_MS_MAX, UnreadBodies } from "../../src/http/unread-bodies.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { echoEndpoint, testEndpoint } from "../support/test-endpoint.ts";
import { waitUntil } from "../support/wait-until.ts";

const logged: string[] = [];
const logger = createLogger({ level: "info", format: "json", write: (line) => logged.push(line) });
const services: HttpServer[] = [];
afterAll(async () => void (await Promise.all(services.map((service) => service.stop()))));
afterEach(() => expect(logged).toEqual([]));

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

function start({ host = "127.0.0.1", allowed_hosts = [] as string[], requests_max = 8, clock = systemClock } = {}) {
  const inFlight = new InFlight(requests_max);
  const app = httpApp(endpoints, inFlight, logger, { hosts: new ServedHosts(host, allowed_hosts), clock });
  const options = { host: "127.0.0.1", port: 0, portSetting: "CART_PORT", shutdown_wait_ms_max: 2_000 } as const;
  const service = serve(app, { ...options, inFlight, clock: systemClock });
  services.push(service);
  return { service, inFlight };
}

/** What comes back of bytes sent as they are, until `enough`, the end of the connection, or a second. */
const exchange = (port: number, request: string | Uint8Array, enough = /\r\n\r\n/): Promise<string> =>
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
const statusOf = async (port: number, request: string) => Number((await exchange(port, request)).slice(9, 12));

describe("a Host header", () => {
  const { service } = start();
  const ask = (host: string, target = "/who") => statusOf(service.port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

  test("is not asked of HTTP/1.0, and is of HTTP/1.1", async () => {
    for (const [target, status] of [
      ["/who", 200],
      ["/things/7/parts?a=1", 200],
      ["/nowhere", 404],
    ] as const)
      expect(await statusOf(service.port, `GET ${target} HTTP/1.0\r\n\r\n`)).toBe(status);
    expect(await statusOf(service.port, "OPTIONS /who HTTP/1.0\r\n\r\n")).toBe(204);
    expect(await statusOf(service.port, "GET /who HTTP/1.1\r\n\r\n")).toBe(400);
  });

  test.each(["", "a b", "a/b?c", "u@b", "[::1", "::1", "[::1]x", "x:99999", "x:y", "%zz", "ÿ", "a\r\nHost: b"])(
    "that is malformed is 400: %j",
    async (host) => {
      for (const target of ["/who", "/nowhere", "/things/%2e%2e/parts"]) expect(await ask(host, target)).toBe(400);
    },
  );

  test("of another name is 421 where the service listens on a loopback address: a name may have been rebound to it", async () => {
    for (const host of ["localhost", "LOCALHOST:80", "localhost.", "127.0.0.1", "127.9.8.7:1", "[::1]:8000"])
      expect([host, await ask(host)]).toEqual([host, 200]);
    for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.256", "10.0.0.1", "a"]) {
      for (const target of ["/who", "/nowhere", "/things/1/parts"])
        expect([host, target, await ask(host, target)]).toEqual([host, target, 421]);
    }
    const echo = "POST /echo HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    expect(await exchange(service.port, echo)).toMatch(/^HTTP\/1\.1 421 .*HOST_NOT_SERVED/s);
  });

  const isServed = (hosts: ServedHosts, header: string): boolean => {
    try {
      hosts.require(header);
      return true;
    } catch (e) {
      if (isAppError(e, "HOST_NOT_SERVED")) return false;
      throw e;
    }
  };
  const asked = ["localhost:1", "[::1]", "10.0.0.1:8000", "[fe80::1]:1", "shop.example", "SHOP.example.:8000", "evil.example"];

  test.each([
    ["127.0.0.1", [], [true, true, false, false, false, false, false]],
    ["::1", [], [true, true, false, false, false, false, false]],
    ["localhost", ["shop.example"], [true, true, false, false, true, true, false]],
    ["127.0.0.1", ["10.0.0.1", "FE80::1"], [true, true, true, true, false, false, false]],
    ["0.0.0.0", [], [true, true, true, true, true, true, true]],
    ["::", [], [true, true, true, true, true, true, true]],
    // A probe asks by address; an address cannot be rebound.
    ["0.0.0.0", ["Shop.Example"], [true, true, true, true, true, true, false]],
    ["shop.internal", ["shop.example"], [true, true, true, true, true, true, false]],
  ])("on %s, with %j allowed", (host, allowed_hosts, expected) => {
    const hosts = new ServedHosts(host, allowed_hosts);
    expect(asked.map((header) => isServed(hosts, header))).toEqual(expected);
  });

  test("is read without its port, in small letters", () => {
    expect(["A.b:1", "[::1]:80", "a:", "a", "a:65536"].map(hostName)).toEqual(["a.b", "[::1]", "a", "a", undefined]);
  });
});

describe("a path", () => {
  const { service } = start();
  const ask = async (target: string, method = "GET") =>
    exchange(service.port, `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`, /^$/);
  const bodyOf = (text: string): unknown => JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4));

  test.each([
    ["/things/ORD%2D1/parts", ["things", "ORD-1", "parts"]],
    ["/%74hings/1/p%61rts", ["things", "1", "parts"]],
    ["/things/caf%C3%A9/parts?x=%2", ["things", "café", "parts"]],
    ["/things/a%2Fb/parts", ["things", "a/b", "parts"]],
    ["/things/%252F/parts", ["things", "%2F", "parts"]],
    ["/x/../things/1/./parts", ["things", "1", "parts"]],
    ["/things/%61ll/parts?a=%31", ["all", "1"]],
  ])("that is escaped is the same address: %s", async (target, expected) => {
    expect(bodyOf(await ask(target))).toEqual(expected);
  });

  test.each(["/things/%ff/parts", "/things/%zz/parts", "/things/%/parts", "/%c0%af", "/nowhere%e2%82"])(
    "with escapes that are none is 400: %s",
    async (target) => {
      expect(bodyOf(await ask(target))).toMatchObject({ status: 400, code: "PATH_INVALID" });
    },
  );

  test.each([
    "/things%2F1/parts",
    "/things%2Fall/parts",
    "/things/1%2Fparts",
    "/things//parts",
    "//things/1/parts",
    "/things/1/parts/",
    "/%2F",
  ])("of other segments is another address: %s", async (target) => {
    expect(bodyOf(await ask(target))).toMatchObject({ status: 404 });
  });

  test("is named in 405 and answered to OPTIONS and HEAD when it is escaped, too", async () => {
    expect(await ask("/%77ho", "DELETE")).toMatch(/^HTTP\/1\.1 405 .*allow: GET, HEAD, OPTIONS/is);
    expect(await ask("/%77ho", "OPTIONS")).toMatch(/^HTTP\/1\.1 204 /);
    expect(await ask("/%77ho", "HEAD")).toMatch(/^HTTP\/1\.1 200 [^{]*\r\n\r\n$/s);
  });

  test("that is none is 400", async () => {
    expect(await exchange(service.port, "CONNECT a:80 HTTP/1.1\r\nHost: localhost\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    expect(() => HttpRequest.of({ url: "a:80", method: "CONNECT", headers: new Headers() } as Request)).toThrow();
  });
});

/** A clock whose time is set; sleeps end when the system's say so, and at once when the time is moved. */
const movedClock = (): Clock & { move(ms: number): void } => {
  let moved_ms = 0;
  const wakers = new Set<() => void>();
  return {
    ...systemClock,
    now_ms: () => systemClock.now_ms() + moved_ms,
    sleep: (ms, signal) =>
      Promise.race([systemClock.sleep(ms, signal), new Promise<void>((resolve) => void wakers.add(resolve))]),
    move: (ms) => {
      moved_ms += ms;
      for (const wake of wakers) wake();
      wakers.clear();
    },
  };
};

describe("a body that is not there yet", () => {
  const head = (length: number, more = "") =>
    `POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${more}\r\n`;
  /** A request whose body does not come; `answer` is what it gets. */
  const slowly = (port: number) => {
    const answer = Promise.withResolvers<string>();
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(`${head(500)}{`));
    socket.on("data", (data) => (text += data.toString()));
    socket.on("error", () => undefined);
    socket.on("close", () => answer.resolve(text));
    return { socket, answer: answer.promise };
  };
  const echo = (port: number) =>
    fetch(`http://127.0.0.1:${port}/echo`, { method: "POST", body: "{}", headers: { "content-type": "application/json" } });

  test("takes no place of those that are worked on, and of slow ones the oldest makes room for a new one", async () => {
    const { service, inFlight } = start({ requests_max: 8 });
    const slow = Array.from({ length: 3 * 8 }, () => slowly(service.port));
    const answered = (await Promise.all(slow.slice(0, 20).map(({ answer }) => answer))).map((text) => text.slice(0, 12));
    expect(new Set(answered)).toEqual(new Set(["HTTP/1.1 408"]));
    expect(inFlight.requests).toBe(0);
    for (let asked = 0; asked < 10; asked++) expect((await echo(service.port)).status).toBe(200);
    for (const { socket } of slow) socket.destroy();
  });

  test("is cut off after a while, and the connection closed", async () => {
    const clock = movedClock();
    const { service } = start({ clock });
    const { answer } = slowly(service.port);
    await Bun.sleep(100);
    clock.move(BODY_WAIT_MS_MAX - 1_000);
    await Bun.sleep(50);
    expect(await Promise.race([answer, "waiting"])).toBe("waiting");
    clock.move(2_000);
    expect(await answer).toMatch(/^HTTP\/1\.1 408 .*connection: close.*BODY_TOO_SLOW/is);
  });

  test("does not hold up a stop", async () => {
    const { service } = start();
    const { answer } = slowly(service.port);
    await Bun.sleep(50);
    const began_ms = performance.now();
    expect(await service.stop()).toBe(0);
    expect(performance.now() - began_ms).toBeLessThan(1_500);
    expect(await answer).toMatch(/^HTTP\/1\.1 503 .*SHUTTING_DOWN/s);
  });

  test("and that the client holds back for an expectation in capitals, is refused, so that it need not wait for ever", async () => {
    const { service } = start();
    expect(await exchange(service.port, head(2, "Expect: 100-continue\r\n"))).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    for (const expectation of ["100-Continue", "something"])
      expect(await slowExchange(service.port, head(2, `Expect: ${expectation}\r\n`))).toMatch(
        /^HTTP\/1\.1 417 .*connection: close.*EXPECTATION_FAILED/is,
      );
    expect(await exchange(service.port, `${head(2, "Expect: 100-Continue\r\n")}{}`)).toMatch(/^HTTP\/1\.1 200 /);
  });
  const slowExchange = async (port: number, request: string) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(request));
    let text = "";
    socket.on("data", (data) => (text += data.toString()));
    await new Promise((resolve) => socket.on("close", resolve));
    return text;
  };

  test("displaces one of its own client, or else one of the client that has the most", async () => {
    const bodies = new UnreadBodies(8, systemClock);
    const never = new Promise<never>(() => undefined);
    const cut: string[] = [];
    const add = (client: string, name: string) => void bodies.arrived(client, never).catch(() => cut.push(name));
    for (let i = 0; i < 5; i++) add("a", `a${i}`);
    await waitUntil("for the first to go", () => cut.length === 1);
    expect([cut, bodies.bodies]).toEqual([["a0"], clientShare(8)]);
    for (const client of ["b", "b", "c", "d"]) add(client, client);
    expect(bodies.bodies).toBe(8);
    add("e", "e");
    await waitUntil("for another to go", () => cut.length === 2);
    expect([cut, bodies.bodies]).toEqual([["a0", "a1"], 8]);
    bodies.close();
    await waitUntil("for all to go", () => cut.length === 10);
    expect(bodies.bodies).toBe(0);
  });
});

describe("permits", () => {
  test("are shared: one client cannot hold them all, and each is released once", () => {
    const permits = new Permits(4, "listings");
    const first = permits.acquire("a");
    permits.acquire("a");
    expect(() => permits.acquire("a")).toThrow(/^2 listings from your address/);
    const others = ["b", "c"].map((client) => permits.acquire(client));
    expect(() => permits.acquire("d")).toThrow(/^4 listings are under way/);
    first();
    first();
    permits.acquire("d");
    expect(() => permits.acquire("e")).toThrow();
    for (const release of others) release();
    permits.acquire("a");
    expect(() => permits.acquire("a")).toThrow();
  });

  test("count an IPv6 client by its network, and one behind IPv4 by its address", async () => {
    expect(
      ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9", "2001:db8::1", "::1", "fe80::1%eth0", ""].map(
        clientOf,
      ),
    ).toEqual([
      "10.0.0.1",
      "10.0.0.1",
      "2001:db8:1:2::/64",
      "2001:db8:1:2::/64",
      "2001:db8:0:0::/64",
      "0:0:0:0::/64",
      "fe80:0:0:0::/64",
      "",
    ]);
    expect(await (await fetch(`${start().service.url}/who`)).json()).toBe("127.0.0.1");
  });
});

describe("tracestate", () => {
  test.each([
    ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"],
    ["a=1 ,\t b=2,,", "a=1,b=2"],
    ["0tenant@vendor=x y!", "0tenant@vendor=x y!"],
    [`a=${"x".repeat(256)}`, `a=${"x".repeat(256)}`],
  ])("%j is passed on", (header, expected) => {
    expect(parseTracestate(header)).toBe(expected);
  });

  test.each([
    null,
    "",
    ",",
    "a",
    "A=1",
    "a=",
    "a=b=c",
    "a=\u00e9",
    "a=1,a=2",
    "1a=1",
    `a=${"x".repeat(257)}`,
    Array.from({ length: 33 }, (_, i) => `k${i}=v`).join(","),
    Array.from({ length: 3 }, (_, i) => `k${i}=${"v".repeat(200)}`).join(","),
  ])("%j is as good as none", (header) => {
    expect(parseTracestate(header)).toBeUndefined();
  });
});
