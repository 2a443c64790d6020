import { describe, expect, test } from "bun:test";
import type { TracesConfig } from "../../src/config/traces.ts";
import { readConfig } from "../../src/config/config.ts";
import { startOtlpReceiver } from "../support/programs/otlp-receiver.ts";
import { freePorts } from "../support/brokers/ports.ts";
import { waitUntil } from "../support/wait-until.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const clientSpanId = "b7ad6b7169203331";

const tracingTo = async (port: number, traces: Partial<TracesConfig>, told: string[]) => {
  const { Tracing } = await import("../../src/telemetry/tracing.ts");
  const defaults = readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }).traces!;
  return new Tracing({
    ...defaults,
    ...traces,
    service: "cart-service",
    system: "kafka",
    topic: "t",
    group: "g",
    now_ms: () => Date.now(),
    onWarning: (message) => told.push(message),
  });
};

test("what other tracing systems keep beside the trace is passed on to the record, and by it to the spans", async () => {
  await using receiver = startOtlpReceiver();
  const tracing = await tracingTo(Number(new URL(receiver.endpoint).port), {}, []);
  const stateOf = (traceparent?: string, tracestate?: string) =>
    tracing
      .request("POST", "/create-order", "http://x/create-order", traceparent, tracestate)
      .sending({ partition: 0, key: "ORD-1", eventId: "e" }).tracestate;
  const given = `00-${traceId}-${clientSpanId}-01`;
  expect(stateOf(given, "rojo=00f067aa0ba902b7,congo=t61")).toBe("rojo=00f067aa0ba902b7,congo=t61");
  expect([stateOf(given), stateOf(), stateOf(given.replace("-01", "-00"), "a=1")]).toEqual([undefined, undefined, "a=1"]);
  await tracing.stop();
});

test("whether a trace is kept, by each sampler, with a header and without; the record's header says it on", async () => {
  await using receiver = startOtlpReceiver();
  const sentWith = async (traces: Partial<TracesConfig>, traceparent?: string) => {
    const tracing = await tracingTo(Number(new URL(receiver.endpoint).port), traces, []);
    const span = tracing.request("POST", "/create-order", "http://x/create-order", traceparent, undefined);
    const sending = span.sending({ partition: 0, key: "ORD-1", eventId: "e" });
    sending.sent(0);
    span.answered(200);
    await tracing.stop();
    return { traceparent: sending.traceparent, spans: receiver.spans.splice(0).length };
  };
  const given = (flags: string) => `00-${traceId}-${clientSpanId}-${flags}`;
  const continued = (flags: string) =>
    expect.stringMatching(new RegExp(`^00-${traceId}-(?!${clientSpanId})[0-9a-f]{16}-${flags}$`));
  const begun = (flags: string) => expect.stringMatching(new RegExp(`^00-[0-9a-f]{32}-[0-9a-f]{16}-${flags}$`));
  const [kept, notKept] = [
    { traceparent: continued("01"), spans: 2 },
    { traceparent: continued("00"), spans: 0 },
  ];
  expect(await sentWith({ ratio: 0 }, given("01"))).toEqual(kept);
  expect(await sentWith({ ratio: 1 }, given("00"))).toEqual(notKept);
  expect(await sentWith({ ratio: 1 })).toEqual({ traceparent: begun("01"), spans: 2 });
  expect(await sentWith({ ratio: 0 })).toEqual({ traceparent: begun("00"), spans: 0 });
  for (const [sampler, ratio, isKept] of [
    ["always_on", 0, [true, true, true]],
    ["always_off", 1, [false, false, false]],
    ["traceidratio", 1, [true, true, true]],
    ["traceidratio", 0, [false, false, false]],
    ["parentbased_always_on", 0, [true, false, true]],
    ["parentbased_always_off", 1, [true, false, false]],
  ] as const) {
    expect({ sampler, sent: await sentWith({ sampler, ratio }, given("01")) }).toEqual({
      sampler,
      sent: isKept[0] ? kept : notKept,
    });
    expect({ sampler, sent: await sentWith({ sampler, ratio }, given("00")) }).toEqual({
      sampler,
      sent: isKept[1] ? kept : notKept,
    });
    const sent = isKept[2] ? { traceparent: begun("01"), spans: 2 } : { traceparent: begun("00"), spans: 0 };
    expect({ sampler, sent: await sentWith({ sampler, ratio }) }).toEqual({ sampler, sent });
  }
});

test("whether the apply of another program's record is traced is decided by its header, or by a sampler that does not ask it", async () => {
  await using receiver = startOtlpReceiver();
  const applied = async (sampler: TracesConfig["sampler"], flags: string) => {
    const tracing = await tracingTo(Number(new URL(receiver.endpoint).port), { sampler }, []);
    const headers = () => [["traceparent", Buffer.from(`00-${traceId}-${clientSpanId}-${flags}`)]] as const;
    tracing.applying(0, [{ offset: 7, key: Buffer.from("ORD-1"), headers }], 0)(8);
    await tracing.stop();
    return receiver.spans.splice(0).length;
  };
  expect(await applied("parentbased_traceidratio", "01")).toBe(1);
  expect(await applied("parentbased_traceidratio", "00")).toBe(0);
  expect(await applied("always_on", "00")).toBe(1);
  expect(await applied("always_off", "01")).toBe(0);
});

test("attributes are bounded in number and length as the settings say", async () => {
  await using receiver = startOtlpReceiver();
  const limits = { span_attributes_max: 2, attribute_chars_max: 5 };
  const tracing = await tracingTo(Number(new URL(receiver.endpoint).port), limits, []);
  tracing.request("POST", "/create-order", "http://x/create-order", undefined, undefined).answered(200);
  await tracing.stop();
  expect(receiver.spans.map(({ attributes }) => attributes)).toEqual([{ "http.request.method": "POST", "http.route": "/crea" }]);
});

describe("a receiver", () => {
  test("that refuses what it is sent, is said once, however often it happens, until it takes it again", async () => {
    let answered = 0;
    let status = 400;
    await using receiver = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => (answered++, Response.json({}, { status })),
    });
    const told: string[] = [];
    const tracing = await tracingTo(receiver.port!, {}, told);
    const answers = (count: number) =>
      waitUntil(
        () => `for ${count} answers; there were ${answered}`,
        () => (tracing.request("GET", "/x", "http://x/x", undefined, undefined).answered(200), answered >= count),
        { wait_ms_max: 4_500 },
      );
    await answers(3);
    expect(told).toEqual([expect.stringContaining("cannot be sent")]);
    status = 200;
    await answers(answered + 2);
    expect(told.slice(1)).toEqual([expect.stringContaining("again")]);
    await tracing.stop();
  }, 20_000);

  test("that is not there costs no more memory than the queue", async () => {
    const [port] = (await freePorts(1)) as [number];
    const told: string[] = [];
    const tracing = await tracingTo(port, {}, told);
    const makeSpans = async (count: number) => {
      for (let n = 0; n < count; n++) {
        const span = tracing.request("POST", "/create-order", "http://x/create-order", undefined, undefined);
        span.sending({ partition: 0, key: `ORD-${n}`, eventId: `e${n}` }).sent(n);
        span.answered(200);
        if (n % 1_000 === 0) await Bun.sleep(1);
      }
      Bun.gc(true);
      return process.memoryUsage().heapUsed / 2 ** 20;
    };
    const before = await makeSpans(10_000);
    const after = await makeSpans(100_000);
    expect(after - before).toBeLessThan(20);
    await tracing.stop();
    expect(told.length).toBeLessThanOrEqual(1);
  }, 60_000);
});
