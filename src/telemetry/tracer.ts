/**
 * Traces as those below see them: a request, the append it causes and the apply of that record are one trace, across processes by the
 * record's `traceparent` (W3C Trace Context). Without a tracer nothing is done for traces.
 */
export interface RequestTracer {
  /** A request has arrived. `route` is the pattern, `url` what was asked for; `traceparent` and `tracestate` are checked already. */
  request(method: string, route: string, url: string, traceparent: string | undefined, tracestate?: string): RequestSpan;
}

export interface RequestSpan {
  /** An event is about to be appended for the request. */
  sending(event: { readonly partition: number; readonly key: string; readonly eventId: string }): SendingSpan;
  answered(status: number): void;
}

export interface SendingSpan {
  /** For the record's headers. */
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
  /** Records are about to be applied, those from `fromOffset` on; returned is what to tell the next offset when they are. */
  applying(partition: number, records: readonly TracedRecord[], fromOffset: number): (nextOffset: number) => void;
}
