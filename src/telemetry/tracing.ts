import {
  type Attributes,
  type Context,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import { ExportResultCode } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  type SpanLimits,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { TracesConfig } from "../config/traces.ts";
import { EVENT_HEADERS } from "../log/record-headers.ts";
import type { ApplyTracer, HopAttempt, HopSpan, RequestSpan, RequestTracer, SendingSpan } from "./tracer.ts";

export interface TracingOptions extends TracesConfig {
  /** The role's name, used where the resource has none. */
  readonly service: "cart-service" | "order-service";
  /** The kind of log, such as `kafka`. */
  readonly system: string;
  readonly topic: string;
  readonly group: string;
  /** The time since the Unix epoch, with fractions. */
  readonly now_ms: () => number;
  readonly onWarning: (message: string) => void;
}

/**
 * Traces with OpenTelemetry's SDK and sends OTLP/HTTP with JSON. Names and attributes are those of the semantic
 * conventions for HTTP and messaging. This file is imported only where an endpoint is set.
 */
export class Tracing implements RequestTracer, ApplyTracer {
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #messaging: Attributes;
  /** Whether the parent decides what is sampled, so that a record whose trace is not kept needs no span. */
  readonly #parentDecides: boolean;

  constructor(private readonly options: TracingOptions) {
    const { url, resource, service, system, topic, onWarning } = options;
    const exporter = warnOnce(new OTLPTraceExporter({ url, timeoutMillis: options.answer_ms_max }), new URL(url).host, onWarning);
    const queue = new BatchSpanProcessor({
      exporter,
      maxQueueSize: options.queue_spans_max,
      maxExportBatchSize: options.batch_spans_max,
      scheduledDelayMillis: options.batch_wait_ms,
      exportTimeoutMillis: options.export_ms_max,
    });
    this.#provider = new TracerProvider({
      resource: defaultResource().merge(resourceFromAttributes({ "service.name": service, ...resource })),
      sampler: samplers[options.sampler](options.ratio),
      spanLimits: limitsOf(options),
      spanProcessors: [queue],
    });
    this.#tracer = this.#provider.getTracer("order-processing");
    this.#parentDecides = options.sampler.startsWith("parentbased_");
    this.#messaging = { "messaging.system": system, "messaging.destination.name": topic };
  }

  /** Sends the queued spans. Those that the receiver does not take in time are lost. */
  stop(): Promise<void> {
    return this.#provider.shutdown().catch(() => undefined);
  }

  request(...[method, route, url, traceparent, tracestate]: Parameters<RequestTracer["request"]>): RequestSpan {
    const parent = traceparent === undefined ? undefined : spanContext(traceparent, tracestate);
    const { pathname, protocol } = new URL(url);
    const attributes = {
      "http.request.method": method,
      "http.route": route,
      "url.path": pathname,
      "url.scheme": protocol.slice(0, -1),
    };
    const span = this.#tracer.startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, under(parent));
    return {
      sending: (event) => this.#sending(span, event),
      hop: (attempt) => this.#hop(span, attempt),
      answered: (status) => {
        span.setAttribute("http.response.status_code", status);
        if (status >= 500) fail(span, String(status));
        span.end();
      },
    };
  }

  /** Each attempt has a span of its own, as the conventions for HTTP have it. */
  #hop(request: Span, { method, url, resends }: HopAttempt): HopSpan {
    const { hostname, port, protocol } = new URL(url);
    const attributes = {
      "http.request.method": method,
      "server.address": hostname,
      "server.port": Number(port === "" ? DEFAULT_PORTS[protocol] : port),
      "url.full": url,
      ...(resends === 0 ? {} : { "http.request.resend_count": resends }),
    };
    const span = this.#tracer.startSpan(method, { kind: SpanKind.CLIENT, attributes }, under(request.spanContext()));
    return {
      traceparent: header(span.spanContext()),
      tracestate: span.spanContext().traceState?.serialize(),
      answered: (status) => {
        span.setAttribute("http.response.status_code", status);
        if (status >= 400) fail(span, String(status));
        span.end();
      },
      failed: (why) => {
        fail(span, why);
        span.end();
      },
    };
  }

  #sending(request: Span, { partition, key, eventId }: Parameters<RequestSpan["sending"]>[0]): SendingSpan {
    const attributes = {
      ...this.#messaging,
      "messaging.operation.name": "send",
      "messaging.operation.type": "send",
      "messaging.destination.partition.id": String(partition),
      "messaging.kafka.message.key": key,
      "messaging.message.id": eventId,
    };
    const name = `send ${this.options.topic}`;
    const span = this.#tracer.startSpan(name, { kind: SpanKind.PRODUCER, attributes }, under(request.spanContext()));
    return {
      traceparent: header(span.spanContext()),
      tracestate: span.spanContext().traceState?.serialize(),
      sent: (offset) => {
        span.setAttribute("messaging.kafka.offset", offset);
        span.end();
      },
      failed: (e) => {
        fail(span, String((e as { code?: unknown } | undefined)?.code ?? e));
        span.end();
      },
    };
  }

  applying(...[partition, records, fromOffset]: Parameters<ApplyTracer["applying"]>): (nextOffset: number) => void {
    const { topic, group, now_ms } = this.options;
    const startTime = now_ms();
    return (nextOffset) => {
      const endTime = now_ms();
      for (const record of records) {
        if (record.offset < fromOffset || record.offset >= nextOffset) continue;
        const parent = parentOf(record);
        if (!parent || (this.#parentDecides && (parent.traceFlags & TraceFlags.SAMPLED) === 0)) continue;
        const attributes = {
          ...this.#messaging,
          "messaging.operation.name": "process",
          "messaging.operation.type": "process",
          "messaging.consumer.group.name": group,
          "messaging.destination.partition.id": String(partition),
          "messaging.kafka.offset": record.offset,
          "messaging.kafka.message.key": String(record.key ?? ""),
        };
        const options = { kind: SpanKind.CONSUMER, attributes, startTime };
        this.#tracer.startSpan(`process ${topic}`, options, under(parent)).end(endTime);
      }
    };
  }
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

const samplers: Readonly<Record<TracesConfig["sampler"], (ratio: number) => Sampler>> = {
  always_on: () => new AlwaysOnSampler(),
  always_off: () => new AlwaysOffSampler(),
  traceidratio: (ratio) => new TraceIdRatioBasedSampler(ratio),
  parentbased_always_on: () => new ParentBasedSampler({ root: new AlwaysOnSampler() }),
  parentbased_always_off: () => new ParentBasedSampler({ root: new AlwaysOffSampler() }),
  parentbased_traceidratio: (ratio) => new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
};

const limitsOf = ({ span_attributes_max, attribute_chars_max }: TracesConfig): SpanLimits => ({
  ...(span_attributes_max === undefined ? {} : { attributeCountLimit: span_attributes_max }),
  ...(attribute_chars_max === undefined ? {} : { attributeValueLengthLimit: attribute_chars_max }),
});

const under = (parent: SpanContext | undefined): Context =>
  parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);

const fail = (span: Span, why: string): void => {
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.setAttribute("error.type", why);
};

const traceparentPattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Undefined where the header is malformed, as another program's may be. */
const spanContext = (traceparent: string, tracestate: string | undefined): SpanContext | undefined => {
  const [, traceId, spanId, flags] = traceparentPattern.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const traceState = tracestate === undefined ? {} : { traceState: createTraceState(tracestate) };
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true, ...traceState };
  return isSpanContextValid(context) ? context : undefined;
};

const parentOf = (record: Parameters<ApplyTracer["applying"]>[1][number]): SpanContext | undefined => {
  const headers = record.headers();
  const text = (wanted: string) => {
    const value = headers.find(([name]) => name === wanted)?.[1];
    return value ? Buffer.from(value).toString("latin1") : undefined;
  };
  const traceparent = text(EVENT_HEADERS.traceparent);
  return traceparent === undefined ? undefined : spanContext(traceparent, text(EVENT_HEADERS.tracestate));
};

const header = ({ traceId, spanId, traceFlags }: SpanContext): string =>
  `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;

/**
 * Wraps an exporter so that it warns once when it fails and once when it works again. Meanwhile its spans are lost.
 */
const warnOnce = (exporter: SpanExporter, host: string, onWarning: (message: string) => void): SpanExporter => {
  let fails = false;
  return {
    export: (spans, done) =>
      exporter.export(spans, ({ code, error }) => {
        const failed = code !== ExportResultCode.SUCCESS;
        if (failed && !fails)
          onWarning(
            `Traces cannot be sent to ${host} and are dropped until they can: ${error?.message ?? "it does not say why"}`,
          );
        if (!failed && fails) onWarning(`Traces are sent to ${host} again.`);
        fails = failed;
        // Success is reported in any case, since the SDK would log each failure.
        done({ code: ExportResultCode.SUCCESS });
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
  };
};
