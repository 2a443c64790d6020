import { describe, expect, test } from "bun:test";
import { type Env, readConfig } from "../../src/config/config.ts";

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };
const traces = (env: Env, readFile?: (path: string) => string) => readConfig({ ...endpoint, ...env }, readFile).traces;
const refusal = (env: Env) => {
  try {
    readConfig(env);
  } catch (e) {
    return (e as Error).message;
  }
  return "";
};

describe("OpenTelemetry's variables", () => {
  test("an endpoint alone gives the defaults", () => {
    expect(readConfig({}).traces).toBeUndefined();
    expect(traces({})).toEqual({
      url: "http://collector:4318/v1/traces",
      sampler: "parentbased_traceidratio",
      ratio: 1,
      resource: {},
      queue_spans_max: 4_096,
      batch_spans_max: 512,
      batch_wait_ms: 1_000,
      export_ms_max: 5_000,
      answer_ms_max: 5_000,
      span_attributes_max: undefined,
      attribute_chars_max: undefined,
    });
  });

  test.each<[env: Env, url: string | undefined]>([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector/otlp/" }, "https://collector/otlp/v1/traces"],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://[::1]:4318" }, "http://[::1]:4318/v1/traces"],
    [{ ...endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://traces:4318/as/it/stands" }, "http://traces:4318/as/it/stands"],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://traces:4318" }, "http://traces:4318"],
    [{ OTEL_TRACES_EXPORTER: "otlp" }, "http://localhost:4318/v1/traces"],
    [{ ...endpoint, OTEL_TRACES_EXPORTER: "none" }, undefined],
    [{ ...endpoint, OTEL_SDK_DISABLED: "TRUE" }, undefined],
    [{ ...endpoint, OTEL_SDK_DISABLED: "false" }, "http://collector:4318/v1/traces"],
    [{ OTEL_TRACES_SAMPLER_ARG: "0.5" }, undefined],
  ])("%j: traces go to %s", (env, url) => {
    expect(readConfig(env).traces?.url).toBe(url);
  });

  test("the resource: percent-decoded, and the service's own name goes before the one among the attributes", () => {
    const attributes = "deployment.environment.name=staging, k%2Cey=a%3Db%25%C3%A9 ,service.name=attributes,empty=,";
    const resource = { "deployment.environment.name": "staging", "k,ey": "a=b%é", "service.name": "attributes", empty: "" };
    expect(traces({ OTEL_RESOURCE_ATTRIBUTES: attributes })?.resource).toEqual(resource);
    expect(traces({ OTEL_RESOURCE_ATTRIBUTES: attributes, OTEL_SERVICE_NAME: "shop" })?.resource).toEqual({
      ...resource,
      "service.name": "shop",
    });
  });

  test("sampler, batches, limits and waits, the ones for traces before the general ones", () => {
    expect(
      traces({
        OTEL_TRACES_SAMPLER: "TraceIdRatio",
        OTEL_TRACES_SAMPLER_ARG: "0.25",
        OTEL_BSP_SCHEDULE_DELAY: "200",
        OTEL_BSP_EXPORT_TIMEOUT: "300",
        OTEL_BSP_MAX_QUEUE_SIZE: "100",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "10",
        OTEL_EXPORTER_OTLP_TIMEOUT: "400",
        OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: "500",
        OTEL_ATTRIBUTE_COUNT_LIMIT: "9",
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: "8",
        OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: "7",
      }),
    ).toMatchObject({
      sampler: "traceidratio",
      ratio: 0.25,
      batch_wait_ms: 200,
      export_ms_max: 300,
      queue_spans_max: 100,
      batch_spans_max: 10,
      answer_ms_max: 500,
      span_attributes_max: 8,
      attribute_chars_max: 7,
    });
    for (const [given, ratio] of [
      ["0", 0],
      ["1.0", 1],
    ] as const)
      expect(traces({ OTEL_TRACES_SAMPLER_ARG: given })?.ratio).toBe(ratio);
  });

  test("propagators: W3C's, which are the specification's default", () => {
    for (const OTEL_PROPAGATORS of ["tracecontext", "tracecontext,baggage", "baggage, tracecontext"])
      expect(traces({ OTEL_PROPAGATORS })).toBeDefined();
  });

  test.each<[name: string, value: string, instead: string]>([
    ["OTEL_SDK_DISABLED", "1", "false, true"],
    ["OTEL_TRACES_EXPORTER", "zipkin", "otlp, none"],
    ["OTEL_TRACES_EXPORTER", "console", "otlp, none"],
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/json"],
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "http/json"],
    ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc", "http/json"],
    ["OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote", "always_on"],
    ["OTEL_TRACES_SAMPLER", "xray", "parentbased_traceidratio"],
    ["OTEL_TRACES_SAMPLER_ARG", "-1", "0 to 1"],
    ["OTEL_TRACES_SAMPLER_ARG", "1.1", "0 to 1"],
    ["OTEL_TRACES_SAMPLER_ARG", "1e-3", "0 to 1"],
    ["OTEL_TRACES_SAMPLER_ARG", "all", "0 to 1"],
    ["OTEL_PROPAGATORS", "b3", "tracecontext"],
    ["OTEL_PROPAGATORS", "none", "tracecontext"],
    ["OTEL_PROPAGATORS", "baggage", "tracecontext"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "otel-collector:4317", "http or https URL"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "http://:4318", "must be a URL"],
    ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector", "http or https URL"],
    ["OTEL_RESOURCE_ATTRIBUTES", "staging", "key=value"],
    ["OTEL_RESOURCE_ATTRIBUTES", "a=b,=c", '"=c" is none'],
    ["OTEL_RESOURCE_ATTRIBUTES", "a=b=c", "%3D"],
    ["OTEL_RESOURCE_ATTRIBUTES", "a=100%", "%25"],
    ["OTEL_RESOURCE_ATTRIBUTES", "a=%C3", "%25"],
    ["OTEL_RESOURCE_ATTRIBUTES", `a=${"x".repeat(256)}`, "255"],
    ["OTEL_BSP_SCHEDULE_DELAY", "1s", "an integer"],
    ["OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "none, gzip"],
    ["OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such.pem", "ENOENT"],
  ])("%s=%s is refused by its name, with what is possible: %s", (name, value, instead) => {
    const said = refusal({ [name]: value });
    expect(said.split("\n")).toHaveLength(2);
    expect(said).toContain(name);
    expect(said).toContain(instead);
  });

  test("a batch is no longer than the queue", () => {
    expect(refusal({ OTEL_BSP_MAX_QUEUE_SIZE: "10" })).toContain("OTEL_BSP_MAX_EXPORT_BATCH_SIZE is 512");
  });

  test("who turns it off is not held to the rest, which may be meant for other programs", () => {
    const env = { OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc", OTEL_PROPAGATORS: "b3", OTEL_SERVICENAME: "x" };
    expect(readConfig(env).traces).toBeUndefined();
  });

  test("headers carry secrets: the log may have neither the list nor a value", () => {
    const OTEL_EXPORTER_OTLP_HEADERS = "authorization=Bearer%20hunter2,x-tenant=shop";
    expect(readConfig({ OTEL_EXPORTER_OTLP_HEADERS }).secrets).toEqual([
      OTEL_EXPORTER_OTLP_HEADERS,
      "Bearer%20hunter2",
      "Bearer hunter2",
      "shop",
    ]);
    expect(refusal({ OTEL_EXPORTER_OTLP_HEADERS: `a=hunter2${"x".repeat(10_000)}` })).not.toContain("hunter2");
  });
});
