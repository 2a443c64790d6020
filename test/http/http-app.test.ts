import { afterAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { systemClock } from "../../src/system/clock.ts";
import { AppError, isAppError } from "../../src/errors.ts";
import { liveEndpoint, readyEndpoint } from "../../src/api/health-endpoints.ts";
import type { Endpoint } from "../../src/http/endpoint/endpoint.ts";
import type { Readiness } from "../../src/http/health.ts";
import { InFlight } from "../../src/http/in-flight.ts";
import { serve } from "../../src/http/serve.ts";
import { httpApp } from "../../src/http/app.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { echoEndpoint, testEndpoint } from "../support/http/test-endpoint.ts";
import { waitUntil } from "../support/wait-until.ts";

const BODY_BYTES_MAX = 65_536;
const logger = createLogger({ level: "silent", format: "json" });

const start = (endpoints: readonly Endpoint[], { port = 0, shutdown_wait_ms_max = 2_000 } = {}) => {
  const inFlight = new InFlight(100);
  const app = httpApp(endpoints, inFlight, logger, { clock: systemClock });
  return serve(app, { host: "127.0.0.1", port, portSetting: "CART_PORT", shutdown_wait_ms_max, inFlight, clock: systemClock });
};

const echo = echoEndpoint(BODY_BYTES_MAX);
const health = (): Readiness => ({ status: "ready", partitions: [] });
const service = start([echo, liveEndpoint(health), readyEndpoint("in memory", health)]);
afterAll(() => service.stop());

const post = (
  body: string | Uint8Array<ArrayBuffer>,
  contentType: string | undefined = "application/json",
  headers: Record<string, string> = {},
) =>
  fetch(`${service.url}/echo`, {
    method: "POST",
    body,
    headers: { ...(contentType === undefined ? {} : { "content-type": contentType }), ...headers },
  });

/** Sends bytes as they are and returns what came back until the server closed or `wait_ms` passed. */
const exchange = (
  port: number,
  parts: readonly (string | Uint8Array)[],
  wait_ms = 2_000,
): Promise<{ text: string; closed: boolean }> =>
  new Promise((resolve) => {
    let text = "";
    const write = async () => {
      for (const part of parts) {
        if (socket.destroyed) return;
        socket.write(part);
        await Bun.sleep(1);
      }
    };
    const socket = connect(port, "127.0.0.1", () => void write());
    const timer = setTimeout(() => (resolve({ text, closed: false }), socket.destroy()), wait_ms);
    socket.on("data", (data) => (text += data.toString()));
    socket.on("error", () => {});
    socket.on("close", () => (clearTimeout(timer), resolve({ text, closed: true })));
  });

const chunk = (bytes: number): string => `${bytes.toString(16)}\r\n${"x".repeat(bytes)}\r\n`;
const chunkedHead = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

describe("a body", () => {
  test.each(["application/json", "Application/JSON ; charset=utf-8", "application/vnd.orders+json", "text/x+json;a=b"])(
    "of type %s is read",
    async (type) => {
      const response = await post('{"a":"ü"}', type);
      expect([response.status, await response.text()]).toEqual([200, '{"a":"ü"}']);
    },
  );

  test.each(["text/plain", "application/jsonp", "application/x-www-form-urlencoded", "application/+json/x", "json", "+json", ""])(
    "of type %j is 415",
    async (type) => {
      const response = await post(new TextEncoder().encode("{}"), type);
      expect(response.status).toBe(415);
      expect(await response.json()).toMatchObject({ code: "NOT_JSON_TYPE", type: "urn:problem:not-json-type" });
    },
  );

  const notJson: [why: string, body: string | Uint8Array<ArrayBuffer>][] = [
    ["cut off", '{"a":'],
    ["with a comma too many", '{"a":1,}'],
    ["with text after it", "{} x"],
    ["NaN", "NaN"],
    ["invalid UTF-8", new Uint8Array([0x22, 0xc3, 0x28, 0x22])],
    ["a surrogate in UTF-8", new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ["of white space", " \n"],
  ];
  test.each(notJson)("%s is 400", async (_, body) => {
    const response = await post(body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: "NOT_JSON" });
  });

  test("empty is 400, with a length of 0 and without a length", async () => {
    const head = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n";
    for (const request of [
      `${head}Content-Length: 0\r\n\r\n`,
      `${head}\r\n`,
      `${head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ]) {
      const { text } = await exchange(service.port, [request]);
      expect(text).toStartWith("HTTP/1.1 400 ");
      expect(text).toContain("The body is empty");
    }
  });

  test("compressed is 415 with the reason", async () => {
    const response = await post(Bun.gzipSync('{"a":1}'), "application/json", { "content-encoding": "gzip" });
    expect(response.status).toBe(415);
    expect(await response.text()).toContain("Content-Encoding");
    expect(response.headers.get("accept-encoding")).toBe("identity");
    const plain = await post('{"a":1}', "application/json", { "content-encoding": "br" });
    expect(plain.status).toBe(415);
    expect((await post('{"a":1}', "application/json", { "content-encoding": "identity" })).status).toBe(200);
  });

  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  test.each([
    [32, 200],
    [33, 422],
    [30_000, 422],
  ])("nested %d deep is %d", async (depth, status) => {
    expect((await post(nested(depth))).status).toBe(status);
    expect((await post(`{"a":`.repeat(depth) + "1" + "}".repeat(depth))).status).toBe(depth * 6 < BODY_BYTES_MAX ? status : 413);
  });

  const ofLength = (bytes: number) => `"${"x".repeat(bytes - 2)}"`;
  test("of exactly the bound is read, one byte more is 413", async () => {
    expect((await post(ofLength(BODY_BYTES_MAX))).status).toBe(200);
    const response = await post(ofLength(BODY_BYTES_MAX + 1));
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ code: "BODY_TOO_LARGE", body_bytes_max: BODY_BYTES_MAX });
    expect((await post("{}")).status).toBe(200);
  });

  test("of 10 MB is 413 as problem+json, also to a client that sends all of it first", async () => {
    const response = await post(new Uint8Array(10 << 20));
    expect(response.status).toBe(413);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toMatchObject({ code: "BODY_TOO_LARGE" });
  });

  test("in chunks is read up to the bound", async () => {
    const { text } = await exchange(service.port, [chunkedHead, '3\r\n{"a\r\n', '6\r\n":"b"}\r\n', "0\r\n\r\n"], 200);
    expect(text).toStartWith("HTTP/1.1 200 ");
    expect(text).toEndWith('{"a":"b"}');
  });

  test("in chunks without an end is 413 soon after the bound", async () => {
    const { text, closed } = await exchange(service.port, [chunkedHead, ...Array<string>(200).fill(chunk(16_384))]);
    expect(text).toStartWith("HTTP/1.1 413 ");
    expect(text).toContain("BODY_TOO_LARGE");
    expect(closed).toBe(true);
  });

  test("that claims two lengths is refused", async () => {
    const both = chunkedHead.replace("Transfer", "Content-Length: 2\r\nTransfer");
    const { text } = await exchange(service.port, [both, chunk(5), "0\r\n\r\n"], 500);
    expect(text).toStartWith("HTTP/1.1 400 ");
  });
});

describe("a request that no route takes", () => {
  const ask = (method: string, path: string) => fetch(service.url + path, { method });

  test.each(["/", "/nothing", "/echo/x", "/echo/", "/%2Fecho", "/__proto__"])("404 for %s", async (path) => {
    const response = await ask("GET", path);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: "NOT_FOUND" });
  });

  test.each(["GET", "PUT", "DELETE", "PATCH"])("405 for %s where only POST is", async (method) => {
    const response = await ask(method, "/echo");
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST, OPTIONS");
    expect(await response.json()).toMatchObject({ code: "METHOD_NOT_ALLOWED" });
  });

  test("OPTIONS says what there is", async () => {
    const options = await ask("OPTIONS", "/health/live");
    expect([options.status, options.headers.get("allow")]).toEqual([204, "GET, HEAD, OPTIONS"]);
  });
});

describe("HEAD", () => {
  let cancelled = 0;
  const endless = () =>
    new ReadableStream<Uint8Array>(
      { pull: (controller) => Bun.sleep(1).then(() => controller.enqueue(Buffer.from("x"))), cancel: () => void cancelled++ },
      { highWaterMark: 0 },
    );
  const answers: Record<string, () => Response | Promise<Response>> = {
    "/text": () => new Response("ü".repeat(5_000), { headers: { "content-type": "text/plain" } }),
    "/json": () => Response.json({ a: 1 }),
    "/file": () => new Response(Bun.file(import.meta.path), { headers: { "content-type": "text/x" } }),
    "/none": () => new Response(null, { status: 202 }),
    "/later": () => Bun.sleep(5).then(() => new Response("later", { headers: { "content-type": "text/plain" } })),
    "/refused": () => {
      throw new AppError("INVALID_FIELD", "No.");
    },
    "/defect": () => {
      throw new Error("defect");
    },
    "/endless": () => new Response(endless(), { headers: { "content-type": "text/plain" } }),
  };
  const head = start(Object.entries(answers).map(([path, handle]) => testEndpoint("GET", path, handle)));
  afterAll(() => head.stop());

  const one = async (method: string, path: string) => {
    const { text } = await exchange(head.port, [`${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`]);
    const [top = "", body] = text.split("\r\n\r\n", 2);
    const [status, ...lines] = top.split("\r\n");
    const headers = Object.fromEntries(lines.map((line) => /^([^:]*): (.*)$/.exec(line)!.slice(1) as [string, string]));
    return { status, body, headers: new Headers(headers) };
  };

  test.each([...Object.keys(answers).filter((path) => path !== "/endless"), "/nowhere", "/%ff"])(
    "of %s is what GET says, with its length and a date, and no body",
    async (path) => {
      const [ofHead, ofGet] = [await one("HEAD", path), await one("GET", path)];
      expect(Number(ofGet.headers.get("content-length"))).toBe(Buffer.byteLength(ofGet.body!));
      const withoutDate = ({ status, headers }: typeof ofHead) => ({ status, ...headers.toJSON(), date: undefined });
      expect(withoutDate(ofHead)).toEqual(withoutDate(ofGet));
      expect(Math.abs(Date.parse(ofHead.headers.get("date")!) - Date.now())).toBeLessThan(5_000);
      expect(ofHead.body).toBe("");
    },
  );

  test("of a stream ends it and says no length; the connection goes on", async () => {
    const before = cancelled;
    const asked = "HEAD /endless HTTP/1.1\r\nHost: x\r\n\r\n";
    const connection = connect(head.port, "127.0.0.1", () => connection.write(asked));
    let text = "";
    connection.on("data", (data) => (text += data.toString()));
    await waitUntil("for the answer", () => text.endsWith("\r\n\r\n"));
    expect(text).toStartWith("HTTP/1.1 200 ");
    expect(text).not.toMatch(/content-length/i);
    expect(text).toMatch(/^date: /im);
    await waitUntil("for the stream to be cancelled", () => cancelled === before + 1);
    text = "";
    connection.write("GET /json HTTP/1.1\r\nHost: x\r\n\r\n");
    await waitUntil("for the next answer", () => text.endsWith('{"a":1}'));
    expect(text).toStartWith("HTTP/1.1 200 ");
    connection.destroy();
  });
});

describe("stopping", () => {
  /** An endpoint whose request is under way once `begun` resolves. */
  const slow = (wait_ms: number): { slowly: Endpoint; begun: Promise<void> } => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const handle = () => {
      resolve();
      return Bun.sleep(wait_ms).then(() => new Response("done"));
    };
    return { slowly: testEndpoint("GET", "/slow", handle), begun: promise };
  };
  const get = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";

  test("finishes what is in flight, closes idle connections and refuses new ones", async () => {
    const { slowly, begun } = slow(200);
    const stopping = start([slowly]);
    const idle = exchange(stopping.port, ["GET /x HTTP/1.1\r\nHost: x\r\n\r\n"]);
    const busy = exchange(stopping.port, [get]);
    await begun;
    const stopped = stopping.stop();
    expect(stopping.stop()).toBe(stopped);
    // What comes within the next two turns of the event loop is answered 503 (serve.test.ts).
    await Bun.sleep(20);
    await expect(fetch(`${stopping.url}/slow`)).rejects.toThrow();
    expect(await stopped).toBe(0);
    expect((await busy).text).toEndWith("done");
    expect(await Promise.all([idle, busy])).toMatchObject([{ closed: true }, { closed: true }]);
  });

  test("cuts off what takes longer than the bound, and says how many", async () => {
    const { slowly, begun } = slow(5_000);
    const stopping = start([slowly], { shutdown_wait_ms_max: 100 });
    const busy = exchange(stopping.port, [get]);
    await begun;
    const started = performance.now();
    expect(await stopping.stop()).toBe(1);
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(await busy).toEqual({ text: "", closed: true });
  });
});

test("a taken port is an error that names the setting", () => {
  try {
    start([echo], { port: service.port });
    expect.unreachable();
  } catch (e) {
    if (!isAppError(e, "CONFIG_INVALID")) throw e;
    expect(e.message).toBe(`Another program listens on 127.0.0.1:${service.port}. Stop it, or set CART_PORT to another port.`);
  }
});
