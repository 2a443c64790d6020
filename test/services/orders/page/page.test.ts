import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { cartPage } from "../../../../src/services/cart/endpoints/cart-page.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { HttpRequest, type Origin } from "../../../../src/http/http-request.ts";
import { InFlight } from "../../../../src/http/in-flight.ts";
import { pageEndpoints } from "../../../../src/http/page.ts";
import { serve } from "../../../../src/http/serve.ts";
import { httpApp } from "../../../../src/http/app.ts";
import { tryEndpoints } from "../../../../src/services/orders/page/try-endpoints.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";

const entry = join(import.meta.dir, "../../../../src/services/orders/page/index.html");
const asked: { method: string; path: string; client: string; body: string; contentType: string | null }[] = [];
const cart = async (request: Request, { path = "", address }: Origin = {}) => {
  asked.push({
    method: request.method,
    path,
    client: address?.() ?? "",
    body: await request.text(),
    contentType: request.headers.get("content-type"),
  });
  return new Response("{}", { headers: { "log-position": "3:17" } });
};
const inFlight = new InFlight(10);
const service = serve(
  httpApp([...pageEndpoints(entry), ...tryEndpoints(cart)], inFlight, createLogger({ level: "silent", format: "json" }), {
    clock: systemClock,
  }),
  { host: "127.0.0.1", port: 0, portSetting: "ORDER_PORT", shutdown_wait_ms_max: 1_000, inFlight, clock: systemClock },
);
afterAll(() => service.stop());

test("the page is served with all it links to, and may load nothing else", async () => {
  const page = await fetch(service.url);
  const html = await page.text();
  expect(page.headers.get("content-type")).toStartWith("text/html");
  const policy = page.headers.get("content-security-policy") ?? "";
  expect(policy).toStartWith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';");
  expect(policy).not.toMatch(/unsafe|\*|http/);
  const links = [...html.matchAll(/(?:src|href)="([^"#:]*)"/g)].map((match) => match[1]!);
  expect(links).toHaveLength(2);
  for (const link of links) {
    // Relative, so that a proxy may give the page a path of its own.
    expect(link).toMatch(/^assets\/[^/]+$/);
    const asset = await fetch(`${service.url}/${link}`);
    expect([asset.status, asset.headers.get("cache-control")]).toEqual([200, "public, max-age=31536000, immutable"]);
    expect(asset.headers.get("content-type")).toMatch(link.endsWith(".js") ? /^text\/javascript/ : /^text\/css/);
    const text = await asset.text();
    expect(text.length).toBeGreaterThan(1_000);
    expect(text.match(/["'`]\/(?:live|order-details|orders|dead-letters|try|partitions|health|assets)\b[^"'`]*/g) ?? []).toEqual(
      [],
    );
  }
  expect((await fetch(`${service.url}/assets/other.js`)).status).toBe(404);
  expect((await fetch(`${service.url}/assets/%2e%2e%2findex.html`)).status).toBe(404);
});

test("the form reaches the cart in this process, and another origin's page cannot", async () => {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${service.url}/try/create-order`, { method: "POST", headers, body: '{"order_id":"1"}' });
  expect(answer.headers.get("log-position")).toBe("3:17");
  await fetch(`${service.url}/try/update-order`, { method: "PUT", headers, body: "{}" });
  expect(asked).toEqual([
    { method: "POST", path: "/create-order", client: "127.0.0.1", body: '{"order_id":"1"}', contentType: "application/json" },
    { method: "PUT", path: "/update-order", client: "127.0.0.1", body: "{}", contentType: "application/json" },
  ]);
  const preflight = await fetch(`${service.url}/try/create-order`, {
    method: "OPTIONS",
    headers: {
      origin: "http://elsewhere.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type",
    },
  });
  expect([...preflight.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  expect(tryEndpoints(undefined)).toEqual([]);
});

test("the cart's page writes nothing of a request's address as HTML", async () => {
  const request = new Request("http://localhost/", { headers: { host: `a"onx='b&c` } });
  const page = await cartPage(8_001).handle(HttpRequest.of(request));
  const html = await page.text();
  expect(html).toContain(`curl -X POST <span class="here">http://a&quot;onx=&#x27;b&amp;c</span>/create-order`);
  expect(html).toContain('href="http://localhost:8001/"');
  expect(html).toContain('href="health/ready"');
  const named = HttpRequest.of(new Request("http://localhost/", { headers: { host: "shop.example:8000" } }));
  expect(await (await cartPage(8_001).handle(named)).text()).toContain('href="http://shop.example:8001/"');
});
