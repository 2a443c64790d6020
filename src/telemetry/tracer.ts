/**
 * Tracing as the lower layers see it. A request, the append it causes and the apply of that record form one trace, and
 * so do a request, its hops and what other order services do for them; the `traceparent` (W3C Trace Context) of a record
 * or a hop carries it across processes. Without a tracer nothing is traced.
 */
export interface RequestTracer {
  /** Begins a request's span. `route` is the pattern, `url` what was asked for; the trace headers are valid. */
  request(method: string, route: string, url: string, traceparent: string | undefined, tracestate?: string): RequestSpan;
}

export interface RequestSpan {
  /** Begins the span of an event that is about to be appended for the request. */
  sending(event: { readonly partition: number; readonly key: string; readonly eventId: string }): SendingSpan;
  /** Begins the span of one attempt of a hop that is about to be sent for the request. */
  hop(attempt: HopAttempt): HopSpan;
  answered(status: number): void;
}

export interface HopAttempt {
  readonly method: string;
  readonly url: string;
  /** How often the hop was sent before; 0 for the first attempt. */
  readonly resends: number;
}

export interface HopSpan {
  /** The values of the hop's trace headers. */
  readonly traceparent: string;
  readonly tracestate: string | undefined;
  readonly answered: (status: number) => void;
  /** `why` is one of few words, such as `timeout` or an error's code. */
  readonly failed: (why: string) => void;
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
