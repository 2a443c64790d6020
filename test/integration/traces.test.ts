import { describe, expect, test } from "bun:test";
import { brokerSuite } from "../support/brokers/broker.ts";
import { createOrder, orderDetails } from "../support/http/http.ts";
import { type ReceivedSpan, startOtlpReceiver } from "../support/programs/otlp-receiver.ts";
import { freePorts } from "../support/brokers/ports.ts";
import { startProgram } from "../support/programs/processes.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const clientSpanId = "b7ad6b7169203331";
const cart = { order_id: "1", number_of_items: 1 };

/** A cart and an order service, each a process of its own, on one log. */
async function bothServices(env: Readonly<Record<string, string>>) {
  const dir = await tempDir();
  const producer = await startProgram({ role: "producer", dataDir: dir.path, env });
  const consumer = await startProgram({ role: "consumer", dataDir: dir.path, env });
  await Promise.all([producer.ready(), consumer.ready()]);
  return {
    producer,
    consumer,
    [Symbol.asyncDispose]: async () => {
      await producer[Symbol.asyncDispose]();
      await consumer[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

const ofTrace = (spans: readonly ReceivedSpan[], id: string) =>
  spans.filter((span) => span.traceId === id).toSorted((a, b) => a.name.localeCompare(b.name));

async function oneTrace(env: Readonly<Record<string, string>>, system: string): Promise<void> {
  const id = crypto.randomUUID().slice(0, 8);
  const [topic, group] = [`orders.${id}`, `group.${id}`];
  await using receiver = startOtlpReceiver();
  const settings = { ORDERS_TOPIC: topic, CONSUMER_GROUP: group, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint };
  await using services = await bothServices({ ...env, ...settings });
  const { cartUrl } = services.producer;
  const answer = await createOrder(cartUrl, cart, { traceparent: `00-${traceId}-${clientSpanId}-01` });
  expect(answer.status).toBe(200);
  const [partition, offset] = answer.headers.get("log-position")!.split(":");
  await waitUntil(
    () => `for three spans; there are ${receiver.spans.map(({ name }) => name).join(", ")}`,
    () => ofTrace(receiver.spans, traceId).length >= 3,
  );
  const [request, process, send] = ofTrace(receiver.spans, traceId) as [ReceivedSpan, ReceivedSpan, ReceivedSpan];
  const messaging = {
    "messaging.system": system,
    "messaging.destination.name": topic,
    "messaging.destination.partition.id": partition,
    "messaging.kafka.offset": Number(offset),
    "messaging.kafka.message.key": "ORD-1",
  };
  expect(request).toMatchObject({
    service: "cart-service",
    name: "POST /create-order",
    kind: "SERVER",
    parentSpanId: clientSpanId,
    attributes: {
      "http.request.method": "POST",
      "http.route": "/create-order",
      "url.path": "/create-order",
      "url.scheme": "http",
      "http.response.status_code": 200,
    },
  });
  expect(send).toMatchObject({
    service: "cart-service",
    name: `send ${topic}`,
    kind: "PRODUCER",
    parentSpanId: request.spanId,
    attributes: { ...messaging, "messaging.operation.type": "send", "messaging.operation.name": "send" },
  });
  expect(process).toMatchObject({
    service: "order-service",
    name: `process ${topic}`,
    kind: "CONSUMER",
    parentSpanId: send.spanId,
    attributes: { ...messaging, "messaging.operation.type": "process", "messaging.consumer.group.name": group },
  });
  for (const span of [request, send, process])
    expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));
  // The end time is plausible: it lies in this minute and not somewhere in the uptime.
  expect(Math.abs(Number(BigInt(process.endTimeUnixNano) / 1_000_000n) - Date.now())).toBeLessThan(60_000);

  // Without a header a trace begins here; a trace that is not sampled leaves nothing in either service.
  await createOrder(cartUrl, { ...cart, order_id: "2" });
  const unsampled = "1af7651916cd43dd8448eb211c80319c";
  await createOrder(cartUrl, { ...cart, order_id: "3" }, { traceparent: `00-${unsampled}-${clientSpanId}-00` });
  // Requests for health and metrics are not worth a trace; a query is.
  await fetch(`${services.consumer.orderUrl}/metrics`);
  const lost = await orderDetails(services.consumer.orderUrl, "not an id");
  expect(lost.status).toBe(422);
  await waitUntil(
    () => `for four more spans; there are ${receiver.spans.map(({ name }) => name).join(", ")}`,
    () => receiver.spans.length >= 7,
  );
  await Bun.sleep(1_500);
  const begun = receiver.spans.filter((span) => span.traceId !== traceId);
  const root = begun.find(({ name }) => name === "POST /create-order")!;
  expect(root.parentSpanId).toBeUndefined();
  expect(ofTrace(begun, root.traceId).map(({ name }) => name)).toEqual([
    "POST /create-order",
    `process ${topic}`,
    `send ${topic}`,
  ]);
  expect(ofTrace(begun, unsampled)).toEqual([]);
  expect(receiver.spans.filter(({ name }) => !/create-order|orders|order-details/.test(name))).toEqual([]);
  expect(receiver.spans).toHaveLength(7);
}

test("a create through both services is one trace: request, append, apply (embedded log)", () => oneTrace({}, "sqlite"), 60_000);

await brokerSuite("traces", (broker) => {
  test(
    "a create through both services is one trace: request, append, apply",
    () => oneTrace({ KAFKA_BROKERS: broker.brokers }, "kafka"),
    60_000,
  );
});

describe("OpenTelemetry's own variables", () => {
  const answered = async (env: Readonly<Record<string, string>>, ids: readonly string[]) => {
    const program = await startProgram({ env });
    await program.ready();
    for (const order_id of ids) expect((await createOrder(program.cartUrl, { ...cart, order_id })).status).toBe(200);
    return program;
  };

  test("name the service, describe the resource, and say where traces go, for both roles of a process", async () => {
    await using receiver = startOtlpReceiver(0, "/as/it/stands");
    await using _ = await answered(
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.endpoint}/as/it/stands`,
        OTEL_SERVICE_NAME: "shop",
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=staging,service.name=other,team=caf%C3%A9",
      },
      ["1"],
    );
    await waitUntil("for three spans", () => receiver.spans.length >= 3);
    expect(new Set(receiver.spans.map(({ kind }) => kind))).toEqual(new Set(["SERVER", "PRODUCER", "CONSUMER"]));
    for (const { resource } of receiver.spans)
      expect(resource).toMatchObject({
        "service.name": "shop",
        "deployment.environment.name": "staging",
        team: "café",
        "telemetry.sdk.name": "opentelemetry",
      });
  }, 30_000);

  test("turn traces off", async () => {
    await using receiver = startOtlpReceiver();
    for (const off of [
      {},
      { OTEL_SDK_DISABLED: "true" },
      { OTEL_TRACES_EXPORTER: "none" },
      { OTEL_TRACES_SAMPLER: "always_off" },
    ]) {
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY: "50", ...off };
      await using program = await answered(env, ["1", "2"]);
      await Bun.sleep(500);
      program.kill("SIGTERM");
      await program.exited();
      const areSent = receiver.spans.splice(0).length > 0;
      expect({ off, areSent }).toEqual({ off, areSent: Object.keys(off).length === 0 });
    }
  }, 60_000);

  test("carry what the receiver wants to see", async () => {
    const seen: (string | null)[] = [];
    await using receiver = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: ({ headers }) => (seen.push(headers.get("authorization"), headers.get("content-encoding")), Response.json({})),
    });
    await using program = await answered(
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${receiver.port}`,
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20hunter2",
        OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
        LOG_LEVEL: "debug",
      },
      ["1"],
    );
    await waitUntil("for the receiver to be asked", () => seen.length > 0);
    expect(seen.slice(0, 2)).toEqual(["Bearer hunter2", "gzip"]);
    expect(program.output()).not.toContain("hunter2");
  }, 30_000);
});

describe("a receiver that is not there", () => {
  test("is said once, and once that it is there again; the services go on, and stop in good time", async () => {
    const [port] = (await freePorts(1)) as [number];
    await using program = await startProgram({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}/`, SHUTDOWN_WAIT_MS_MAX: "1000" },
    });
    await program.ready();
    const about = () => program.output().match(/"msg":"Traces [^"]*/g) ?? [];
    for (let n = 0; n < 200; n++)
      expect((await createOrder(program.cartUrl, { order_id: String(n), number_of_items: 1 })).status).toBe(200);
    await waitUntil("for the warning", () => about().length > 0, { wait_ms_max: 20_000 });
    for (let n = 200; n < 210; n++) await createOrder(program.cartUrl, { order_id: String(n), number_of_items: 1 });
    await Bun.sleep(3_000);
    // There is one line for each service, because each sends by itself.
    expect(about().length).toBeLessThanOrEqual(2);
    expect(new Set(about().map((line) => line.slice(0, 40))).size).toBe(1);
    expect(program.output().match(/"level":"(error|fatal)"/g)).toBeNull();

    await using _ = startOtlpReceiver(port);
    let order = 300;
    await waitUntil(
      () => `for the traces to be sent again:\n${program.output()}`,
      async () => {
        await createOrder(program.cartUrl, { order_id: String(order++), number_of_items: 1 });
        return about().some((line) => line.includes("again"));
      },
      { wait_ms_max: 20_000 },
    );
    program.kill("SIGTERM");
    expect((await program.exited(5_000)).code).toBe(0);
  }, 60_000);
});
