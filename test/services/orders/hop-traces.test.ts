import { expect, test } from "bun:test";
import { readConfig } from "../../../src/config/config.ts";
import { MemoryFleet } from "../../support/fleets/memory-fleet.ts";
import { type ReceivedSpan, startOtlpReceiver } from "../../support/programs/otlp-receiver.ts";
import { waitUntil } from "../../support/wait-until.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const clientSpanId = "b7ad6b7169203331";

/** Two order services that send their traces to one receiver, and an order that b holds. */
async function tracedFleet() {
  const { Tracing } = await import("../../../src/telemetry/tracing.ts");
  const receiver = startOtlpReceiver();
  const { traces } = readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY: "50" });
  const tracing = (name: string) =>
    new Tracing({
      ...traces!,
      resource: { "service.instance.id": name },
      service: "order-service",
      system: "memory",
      topic: "orders.events",
      group: "order-service",
      now_ms: () => Date.now(),
      onWarning: () => undefined,
    });
  const tracings = { a: tracing("a"), b: tracing("b") };
  const fleet = new MemoryFleet();
  fleet.start("a", { tracer: tracings.a });
  fleet.start("b", { tracer: tracings.b });
  await fleet.settled("a", "b");
  let order = 1;
  const atB = async () => fleet.held("b").includes(Number((await fleet.create(String(order))).split(":")[0]));
  while (!(await atB())) order++;
  await waitUntil("for the order", async () => (await fleet.ask("b", `/order-details?orderId=ORD-${order}`)).status === 200);
  const ask = (path: string) => fleet.ask("a", path, { headers: { traceparent: `00-${traceId}-${clientSpanId}-01` } });
  return {
    fleet,
    orderId: `ORD-${order}`,
    received: receiver.spans,
    ask,
    /** The spans of the client's trace, once there are so many. */
    async spans(count: number): Promise<ReceivedSpan[]> {
      const ofTrace = () => receiver.spans.filter((span) => span.traceId === traceId);
      await waitUntil(
        () =>
          `for ${count} spans; there are ${ofTrace()
            .map(({ name }) => name)
            .join(", ")}`,
        () => ofTrace().length >= count,
      );
      return ofTrace();
    },
    async [Symbol.asyncDispose]() {
      await fleet[Symbol.asyncDispose]();
      await Promise.all([tracings.a.stop(), tracings.b.stop()]);
      await receiver[Symbol.asyncDispose]();
    },
  };
}

const at = (spans: readonly ReceivedSpan[], instance: string, kind: string): ReceivedSpan => {
  const found = spans.find((span) => span.resource["service.instance.id"] === instance && span.kind === kind);
  if (!found) throw new Error(`no span of ${instance} is a ${kind}: ${JSON.stringify(spans)}`);
  return found;
};

test("a request that another order service answers is one trace through both: request, hop, and the peer's request", async () => {
  await using traced = await tracedFleet();
  expect((await traced.ask(`/order-details?orderId=${traced.orderId}`)).status).toBe(200);
  const spans = await traced.spans(3);
  const request = at(spans, "a", "SERVER");
  const hop = at(spans, "a", "CLIENT");
  const answered = at(spans, "b", "SERVER");
  expect([request.parentSpanId, hop.parentSpanId, answered.parentSpanId]).toEqual([clientSpanId, request.spanId, hop.spanId]);
  expect(hop).toMatchObject({
    name: "GET",
    attributes: {
      "http.request.method": "GET",
      "server.address": "b",
      "server.port": 80,
      "url.full": expect.stringMatching(new RegExp(`^http://b/fleet/orders/${traced.orderId}\\?`)),
      "http.response.status_code": 200,
    },
  });
  expect(hop.attributes["http.request.resend_count"]).toBeUndefined();
  expect(answered).toMatchObject({
    name: "GET /fleet/orders/:orderId",
    attributes: { "http.route": "/fleet/orders/:orderId", "http.response.status_code": 200 },
  });
}, 20_000);

test("each attempt of a hop is a span, which says what went wrong", async () => {
  await using traced = await tracedFleet();
  traced.fleet.dead.add("b");
  expect((await traced.ask(`/order-details?orderId=${traced.orderId}`)).status).toBe(503);
  const spans = await traced.spans(5);
  const hops = spans.filter(({ kind }) => kind === "CLIENT");
  expect(hops.slice(0, 2).map(({ attributes }) => attributes["http.request.resend_count"])).toEqual([undefined, 1]);
  for (const { attributes, status } of hops) expect([attributes["error.type"], status.code]).toEqual(["Error", 2]);
  expect(at(spans, "a", "SERVER")).toMatchObject({ attributes: { "error.type": "503" } });
}, 20_000);

test("what members ask each other by themselves is in no trace", async () => {
  await using traced = await tracedFleet();
  const page = await traced.fleet.ask("a", "/live");
  await waitUntil("for the figures to be asked", () => traced.fleet.hops.some(({ path }) => path === "/fleet/figures"));
  await page.body?.cancel();
  expect((await traced.ask("/partitions")).status).toBe(200);
  const spans = await traced.spans(3);
  expect(traced.received.map(({ name }) => name)).not.toContain("GET /fleet/figures");
  expect(spans.map(({ name }) => name).toSorted()).toEqual(["GET", "GET /fleet/standing", "GET /partitions"]);
}, 20_000);
