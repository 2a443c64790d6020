import { choice, flag, integer, pemFile, text, textReadAs, type ValuesOf } from "./setting.ts";

const SAMPLERS = [
  "parentbased_traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "traceidratio",
  "always_on",
  "always_off",
] as const;

const endpoint = (words: string) =>
  text({ must: "be an http or https URL", pattern: /^https?:\/\/[^\s]{1,2048}$/, flaw: urlFlaw, words });
const urlFlaw = (value: string): string | undefined =>
  URL.canParse(value) ? undefined : "It must be a URL such as http://collector:4318.";

const protocol = (words: string) => choice(["http/json"], { default: "http/json", words });
const headers = (words: string) => text({ must: "have 1 to 8192 characters", pattern: /^[^]{1,8192}$/, secret: true, words });
const limit = (words: string) => integer({ min: 0, max: 1_000_000, words });

const ATTRIBUTE_CHARS_MAX = 255;

/**
 * OpenTelemetry's own variables, under the names of its specification ("Environment Variable Specification"). Those
 * for metrics and logs are ignored. The exporter itself reads headers, compression and certificates; here they are
 * only checked, since it would carry on in silence if a file were missing. The program gets the rest as one value,
 * `traces`.
 */
export const openTelemetrySettings = {
  OTEL_SDK_DISABLED: flag({ words: "true: no traces are made, and the other OTEL_* are ignored" }),
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint("where traces are sent by OTLP over HTTP, to its /v1/traces; unset: none are made"),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint("where traces are sent, used as it is; takes precedence over the one above"),
  OTEL_TRACES_EXPORTER: choice(["otlp", "none"], {
    words: "none: no traces; otlp without an endpoint: to http://localhost:4318",
  }),
  OTEL_EXPORTER_OTLP_PROTOCOL: protocol("how traces are sent"),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol("how traces are sent"),
  OTEL_SERVICE_NAME: text({
    must: "have 1 to 255 characters",
    pattern: /^[^]{1,255}$/,
    words: "service.name of both roles; unset: cart-service and order-service",
  }),
  OTEL_RESOURCE_ATTRIBUTES: textReadAs(
    {
      must: "be key=value pairs separated by commas",
      pattern: /^[^]{1,8192}$/,
      words: "attributes of the resource, percent-encoded",
      flaw: (value) => {
        const attributes = resourceAttributes(value);
        return typeof attributes === "string" ? attributes : undefined;
      },
    },
    (given) => {
      const attributes = resourceAttributes(String(given ?? ""));
      return typeof attributes === "string" ? {} : attributes;
    },
  ),
  OTEL_TRACES_SAMPLER: choice(SAMPLERS, { default: "parentbased_traceidratio", words: "which traces are kept" }),
  OTEL_TRACES_SAMPLER_ARG: textReadAs(
    {
      must: "be a number from 0 to 1",
      pattern: /^(?:0(?:\.[0-9]{1,9})?|1(?:\.0{1,9})?)$/,
      words: "for …traceidratio: the share of the traces that begin here that is kept",
      default: "1",
    },
    Number,
  ),
  OTEL_PROPAGATORS: text({
    must: "be tracecontext, or tracecontext,baggage",
    pattern: /^(?:baggage\s*,\s*)?tracecontext(?:\s*,\s*baggage)?$/,
    words: "the W3C headers are passed on; baggage is not put into records",
    default: "tracecontext",
  }),
  OTEL_BSP_SCHEDULE_DELAY: integer({ default: 1_000, min: 0, max: 600_000, words: "ms between two batches of spans" }),
  OTEL_BSP_EXPORT_TIMEOUT: integer({ default: 5_000, min: 1, max: 600_000, words: "ms until a batch of spans is given up" }),
  OTEL_BSP_MAX_QUEUE_SIZE: integer({
    default: 4_096,
    min: 1,
    max: 1_000_000,
    words: "spans waiting to be sent; beyond it they are dropped",
  }),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: integer({ default: 512, min: 1, max: 1_000_000, words: "spans sent at once" }),
  OTEL_EXPORTER_OTLP_TIMEOUT: integer({ default: 5_000, min: 1, max: 600_000, words: "ms that the receiver may take" }),
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: integer({ min: 1, max: 600_000, words: "the same; takes precedence over the one above" }),
  OTEL_EXPORTER_OTLP_HEADERS: headers("key=value,… sent to the receiver"),
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: headers("the same; take precedence over the ones above"),
  OTEL_EXPORTER_OTLP_COMPRESSION: choice(["none", "gzip"], { words: "compression of what is sent" }),
  OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: choice(["none", "gzip"], { words: "the same" }),
  OTEL_EXPORTER_OTLP_CERTIFICATE: pemFile({ words: "PEM file of the receiver's certificate authority" }),
  OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: pemFile({ words: "the same" }),
  OTEL_EXPORTER_OTLP_CLIENT_KEY: pemFile({ words: "PEM file of the key shown to the receiver" }),
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: pemFile({ words: "the same" }),
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: pemFile({ words: "PEM file of its certificate" }),
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: pemFile({ words: "the same" }),
  OTEL_ATTRIBUTE_COUNT_LIMIT: limit("attributes of a span; beyond it they are dropped"),
  OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: limit("the same; takes precedence over the one above"),
  OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: limit("characters of an attribute; beyond it they are cut off"),
  OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: limit("the same; takes precedence over the one above"),
};

export type OpenTelemetryValues = ValuesOf<typeof openTelemetrySettings>;

/**
 * The attributes, parsed as the specification has it, or a sentence that says what is wrong. The SDK's own detector
 * would drop all attributes because of one bad one, and tell nobody.
 */
function resourceAttributes(list: string): Record<string, string> | string {
  const attributes: Record<string, string> = {};
  for (const pair of list.split(",")) {
    if (pair.trim() === "") continue;
    const [key = "", value, ...more] = pair.split("=").map((part) => percentDecoded(part.trim()));
    if (value === undefined || more.length > 0 || key === "")
      return `${JSON.stringify(pair.trim())} is none; write a comma, an equals sign or a per cent sign in a key or value as %2C, %3D or %25.`;
    if (key.length > ATTRIBUTE_CHARS_MAX || value.length > ATTRIBUTE_CHARS_MAX)
      return `A key and a value have at most ${ATTRIBUTE_CHARS_MAX} characters.`;
    attributes[key] = value;
  }
  return attributes;
}

/** Undefined if the text is not percent-encoded UTF-8. */
export const percentDecoded = (encoded: string): string | undefined => {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
};
