import { type OpenTelemetryValues, percentDecoded } from "./open-telemetry.ts";

/** How traces are made and sent. */
export interface TracesConfig {
  /** Where they are sent, with `/v1/traces`. */
  readonly url: string;
  readonly sampler: OpenTelemetryValues["otel_traces_sampler"];
  /** The share of traces that is kept where a ratio decides, from 0 to 1. */
  readonly ratio: number;
  /** The attributes of the resource. A `service.name` among them takes precedence over the role's own. */
  readonly resource: Readonly<Record<string, string>>;
  readonly queue_spans_max: number;
  readonly batch_spans_max: number;
  readonly batch_wait_ms: number;
  readonly export_ms_max: number;
  readonly answer_ms_max: number;
  /** Undefined: the specification's default, which is 128 attributes of any length. */
  readonly span_attributes_max: number | undefined;
  readonly attribute_chars_max: number | undefined;
}

/** Undefined: no traces are made. */
export const tracesConfig = (s: OpenTelemetryValues): TracesConfig | undefined => {
  if (s.otel_sdk_disabled || s.otel_traces_exporter === "none") return undefined;
  const base = s.otel_exporter_otlp_endpoint ?? (s.otel_traces_exporter === "otlp" ? "http://localhost:4318" : undefined);
  const url = s.otel_exporter_otlp_traces_endpoint ?? (base === undefined ? undefined : `${base.replace(/\/+$/, "")}/v1/traces`);
  if (url === undefined) return undefined;
  return {
    url,
    sampler: s.otel_traces_sampler,
    ratio: s.otel_traces_sampler_arg,
    resource: {
      ...s.otel_resource_attributes,
      ...(s.otel_service_name === undefined ? {} : { "service.name": s.otel_service_name }),
    },
    queue_spans_max: s.otel_bsp_max_queue_size,
    batch_spans_max: s.otel_bsp_max_export_batch_size,
    batch_wait_ms: s.otel_bsp_schedule_delay,
    export_ms_max: s.otel_bsp_export_timeout,
    answer_ms_max: s.otel_exporter_otlp_traces_timeout ?? s.otel_exporter_otlp_timeout,
    span_attributes_max: s.otel_span_attribute_count_limit ?? s.otel_attribute_count_limit,
    attribute_chars_max: s.otel_span_attribute_value_length_limit ?? s.otel_attribute_value_length_limit,
  };
};

/** The values of the headers that are sent to the receiver, both as they were given and decoded. */
export const headerValues = (s: OpenTelemetryValues): string[] =>
  [s.otel_exporter_otlp_headers, s.otel_exporter_otlp_traces_headers]
    .flatMap((list) => list?.split(",") ?? [])
    .map((header) => header.slice(header.indexOf("=") + 1).trim())
    .flatMap((value) => [value, percentDecoded(value) ?? value]);
