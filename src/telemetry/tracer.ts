/**
 * Tracing as the lower layers see it. A request, the append it causes and the apply of that record form one trace; the
 * record's `traceparent` (W3C Trace Context) carries it across processes. Without a tracer nothing is traced.
 */
export interface RequestTracer {
  /** Begins a request's span. `route` is the pattern, `url` what was asked for; the trace headers are valid. */
  request(method: string, route: string, url: string, traceparent: string | undefined, tracestate?: string): RequestSpan;
}

export interface RequestSpan {
  /** Begins the span of an event that is about to be appended for the request. */
  sending(event: { readonly partition: number; readonly key: string; readonly eventId: string }): SendingSpan;
  answered(status: number): void;
}

export interface SendingSpan {
  /** The values of the record's trace headers. */
  readonly traceparent: string;
  readonly tracestate: string | undefined;
  readonly sent: (offset: number) => void;
  readonly failed: (e: unknown) => void;
}

interface TracedRecord {
  readonly offset: number;
  readonly key: Buffer | null;
  headers(): readonly (readonly [name: string, value: Uint8Array | null])[];
}

export interface ApplyTracer {
  /** Called before records from `fromOffset` on are applied. Its result is called afterwards, with the next offset. */
  applying(partition: number, records: readonly TracedRecord[], fromOffset: number): (nextOffset: number) => void;
}
