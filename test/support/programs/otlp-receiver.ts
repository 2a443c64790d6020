type Value = { readonly stringValue: string } | { readonly intValue: number | string };

interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Value }[];
  readonly status: { readonly code?: number };
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: WireSpan["attributes"] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

export interface ReceivedSpan extends Omit<WireSpan, "attributes" | "kind"> {
  readonly service: unknown;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly kind: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** The kinds of spans by their numbers in OTLP (opentelemetry/proto/trace/v1/trace.proto). */
const KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];

const read = (attributes: WireSpan["attributes"]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, "intValue" in value ? Number(value.intValue) : value.stringValue]));

/** Takes spans by OTLP/HTTP with JSON, as a collector does, and keeps them. */
export function startOtlpReceiver(port = 0, path = "/v1/traces") {
  const spans: ReceivedSpan[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    fetch: async (request) => {
      if (request.method !== "POST" || new URL(request.url).pathname !== path) return new Response(null, { status: 404 });
      if (request.headers.get("content-type") !== "application/json") return new Response(null, { status: 415 });
      const { resourceSpans } = (await request.json()) as Export;
      for (const { resource: given, scopeSpans } of resourceSpans) {
        const resource = read(given.attributes);
        for (const span of scopeSpans.flatMap((scope) => scope.spans))
          spans.push({
            ...span,
            service: resource["service.name"],
            resource,
            kind: KINDS[span.kind] ?? "?",
            attributes: read(span.attributes),
          });
      }
      return Response.json({ partialSuccess: {} });
    },
  });
  return {
    endpoint: `http://127.0.0.1:${server.port}`,
    spans,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
