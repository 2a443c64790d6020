import { type Static, Type } from "@sinclair/typebox";
import { choice, integer, path, text } from "./kinds.ts";

const SAMPLERS = [
  "parentbased_traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "traceidratio",
  "always_on",
  "always_off",
] as const;

const endpoint = (description: string) =>
  Type.Optional(text("be an http or https URL", "^https?://[^\\s]{1,2048}$", description, { flaw: urlFlaw }));
const urlFlaw = (value: string): string | undefined =>
  URL.canParse(value) ? undefined : "It must be a URL such as http://collector:4318.";

const protocol = (description: string) => choice(["http/json"], "http/json", description);
const headers = (description: string) =>
  Type.Optional(text("have 1 to 8192 characters", "^[^]{1,8192}$", description, { secret: true }));
const optionalCount = (minimum: number, maximum: number, description: string) =>
  Type.Optional(Type.Integer({ minimum, maximum, description }));

const ATTRIBUTE_CHARS_MAX = 255;

/**
 * OpenTelemetry's own variables, as its specification names them ("Environment Variable Specification"). Those of metrics and logs are
 * left alone. Headers, compression and certificates are read by the exporter itself and are only checked here.
 */
export const openTelemetrySettings = {
  OTEL_SDK_DISABLED: choice(["false", "true"], "false", "true: no traces are made, and the other OTEL_* are not looked at"),
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint("where traces are sent by OTLP over HTTP, to its /v1/traces; unset: none are made"),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint("where traces are sent, as it stands; it goes before the one above"),
  OTEL_TRACES_EXPORTER: Type.Optional(
    choice(["otlp", "none"], undefined, "none: no traces; otlp without an endpoint: to http://localhost:4318"),
  ),
  OTEL_EXPORTER_OTLP_PROTOCOL: protocol("how traces are sent"),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol("how traces are sent"),
  OTEL_SERVICE_NAME: Type.Optional(
    text("have 1 to 255 characters", "^[^]{1,255}$", "service.name of both roles; unset: cart-service and order-service"),
  ),
  OTEL_RESOURCE_ATTRIBUTES: Type.Optional(
    text("be key=value pairs separated by commas", "^[^]{1,8192}$", "attributes of the resource, percent-encoded", {
      flaw: (value) => {
        const attributes = resourceAttributes(value);
        return typeof attributes === "string" ? attributes : undefined;
      },
    }),
  ),
  OTEL_TRACES_SAMPLER: choice(SAMPLERS, "parentbased_traceidratio", "which traces are kept"),
  OTEL_TRACES_SAMPLER_ARG: text(
    "be a number from 0 to 1",
    "^(?:0(?:\\.[0-9]{1,9})?|1(?:\\.0{1,9})?)$",
    "for …traceidratio: how many of the traces that begin here are kept",
    { default: "1" },
  ),
  OTEL_PROPAGATORS: text(
    "be tracecontext, or tracecontext,baggage",
    "^(?:baggage\\s*,\\s*)?tracecontext(?:\\s*,\\s*baggage)?$",
    "the W3C headers are passed on; baggage is not put into records",
    { default: "tracecontext" },
  ),
  OTEL_BSP_SCHEDULE_DELAY: integer(1_000, 0, 600_000, "ms between two batches of spans"),
  OTEL_BSP_EXPORT_TIMEOUT: integer(5_000, 1, 600_000, "ms until a batch of spans is given up"),
  OTEL_BSP_MAX_QUEUE_SIZE: integer(4_096, 1, 1_000_000, "spans waiting to be sent; beyond it they are dropped"),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: integer(512, 1, 1_000_000, "spans sent at once"),
  OTEL_EXPORTER_OTLP_TIMEOUT: integer(5_000, 1, 600_000, "ms that the receiver may take"),
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: optionalCount(1, 600_000, "the same; it goes before the one above"),
  OTEL_EXPORTER_OTLP_HEADERS: headers("key=value,… sent to the receiver"),
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: headers("the same; they go before the ones above"),
  OTEL_EXPORTER_OTLP_COMPRESSION: Type.Optional(choice(["none", "gzip"], undefined, "of what is sent")),
  OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: Type.Optional(choice(["none", "gzip"], undefined, "the same")),
  OTEL_EXPORTER_OTLP_CERTIFICATE: Type.Optional(path("PEM file of the receiver's certificate authority")),
  OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: Type.Optional(path("the same")),
  OTEL_EXPORTER_OTLP_CLIENT_KEY: Type.Optional(path("PEM file of the key shown to the receiver")),
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: Type.Optional(path("the same")),
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: Type.Optional(path("PEM file of its certificate")),
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: Type.Optional(path("the same")),
  OTEL_ATTRIBUTE_COUNT_LIMIT: optionalCount(0, 1_000_000, "attributes of a span; beyond it they are dropped"),
  OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: optionalCount(0, 1_000_000, "the same; it goes before the one above"),
  OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: optionalCount(0, 1_000_000, "characters of an attribute; beyond it they are cut off"),
  OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: optionalCount(0, 1_000_000, "the same; it goes before the one above"),
};

const schema = Type.Object(openTelemetrySettings);
export type OpenTelemetrySettings = Static<typeof schema>;

/** Files that the exporter reads, and without which it would go on in silence. */
export const openTelemetryFiles = [
  "OTEL_EXPORTER_OTLP_CERTIFICATE",
  "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
  "OTEL_EXPORTER_OTLP_CLIENT_KEY",
  "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
  "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
  "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
] as const;

/** How traces are made and sent. */
export interface TracesConfig {
  /** Where they are sent, `/v1/traces` included. */
  readonly url: string;
  readonly sampler: (typeof SAMPLERS)[number];
  /** Of the traces that a ratio decides about, how many are kept, 0 to 1. */
  readonly ratio: number;
  /** Attributes of the resource; a `service.name` among them goes before the role's own. */
  readonly resource: Readonly<Record<string, string>>;
  readonly queue_spans_max: number;
  readonly batch_spans_max: number;
  readonly batch_wait_ms: number;
  readonly export_ms_max: number;
  readonly answer_ms_max: number;
  /** undefined: the specification's 128, and no bound. */
  readonly span_attributes_max: number | undefined;
  readonly attribute_chars_max: number | undefined;
}

/** undefined: none are made. */
export const tracesConfig = (s: OpenTelemetrySettings): TracesConfig | undefined => {
  if (s.OTEL_SDK_DISABLED === "true" || s.OTEL_TRACES_EXPORTER === "none") return undefined;
  const base = s.OTEL_EXPORTER_OTLP_ENDPOINT ?? (s.OTEL_TRACES_EXPORTER === "otlp" ? "http://localhost:4318" : undefined);
  const url = s.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base === undefined ? undefined : `${base.replace(/\/+$/, "")}/v1/traces`);
  if (url === undefined) return undefined;
  const attributes = resourceAttributes(s.OTEL_RESOURCE_ATTRIBUTES ?? "");
  return {
    url,
    sampler: s.OTEL_TRACES_SAMPLER,
    ratio: Number(s.OTEL_TRACES_SAMPLER_ARG),
    resource: {
      ...(typeof attributes === "string" ? {} : attributes),
      ...(s.OTEL_SERVICE_NAME === undefined ? {} : { "service.name": s.OTEL_SERVICE_NAME }),
    },
    queue_spans_max: s.OTEL_BSP_MAX_QUEUE_SIZE,
    batch_spans_max: s.OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    batch_wait_ms: s.OTEL_BSP_SCHEDULE_DELAY,
    export_ms_max: s.OTEL_BSP_EXPORT_TIMEOUT,
    answer_ms_max: s.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT ?? s.OTEL_EXPORTER_OTLP_TIMEOUT,
    span_attributes_max: s.OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT ?? s.OTEL_ATTRIBUTE_COUNT_LIMIT,
    attribute_chars_max: s.OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT ?? s.OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT,
  };
};

/** What stands in the headers that are sent to the receiver, as given and decoded. */
export const headerValues = (s: OpenTelemetrySettings): string[] =>
  [s.OTEL_EXPORTER_OTLP_HEADERS, s.OTEL_EXPORTER_OTLP_TRACES_HEADERS]
    .flatMap((list) => list?.split(",") ?? [])
    .map((header) => header.slice(header.indexOf("=") + 1).trim())
    .flatMap((value) => [value, decoded(value) ?? value]);

/**
 * The specification's format, or a sentence that says what is wrong. The SDK's own detector would drop all attributes over one that is
 * wrong, and tell nobody.
 */
function resourceAttributes(list: string): Record<string, string> | string {
  const attributes: Record<string, string> = {};
  for (const pair of list.split(",")) {
    if (pair.trim() === "") continue;
    const [key = "", value, ...more] = pair.split("=").map((part) => decoded(part.trim()));
    if (value === undefined || more.length > 0 || key === "")
      return `${JSON.stringify(pair.trim())} is none; a comma, an equals sign or a per cent sign in a key or value is written %2C, %3D or %25.`;
    if (key.length > ATTRIBUTE_CHARS_MAX || value.length > ATTRIBUTE_CHARS_MAX)
      return `A key and a value have at most ${ATTRIBUTE_CHARS_MAX} characters.`;
    attributes[key] = value;
  }
  return attributes;
}

/** undefined: it is no percent-encoded UTF-8. */
const decoded = (encoded: string): string | undefined => {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
};
