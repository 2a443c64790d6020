import { type TSchema, Type } from "@sinclair/typebox";

/** A header as the documents describe it. */
export interface Header {
  readonly description: string;
  readonly schema: TSchema;
  readonly example: string;
}

const position = Type.String({ pattern: "^[0-9]{1,9}:[0-9]{1,16}$" });

export const requestHeaders = {
  "Idempotency-Key": {
    description:
      "1 to 255 printable ASCII characters, in quotes or without. A retry with the same key gets the first answer and adds nothing (draft-ietf-httpapi-idempotency-key-header-07).",
    schema: Type.String({ minLength: 1 }),
    example: '"b7e1c1de-5b0a-4c40-9ad9-0b5a4d0c9a51"',
  },
  traceparent: {
    description: "W3C Trace Context; goes into the event's headers. Absent or malformed: a new trace begins.",
    schema: Type.String(),
    example: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  },
  tracestate: {
    description:
      "W3C Trace Context; goes with traceparent into the event's headers, if it is well-formed and has at most 512 characters.",
    schema: Type.String(),
    example: "vendor=t61rcWkgMzE",
  },
  "Log-Position": {
    description: "The Log-Position of an answer of the cart service: the answer waits until the event there is applied.",
    schema: position,
    example: "3:1712",
  },
} as const satisfies Record<string, Header>;

export const responseHeaders = {
  "Log-Position": {
    description: "<partition>:<offset> of the event in the log; GET /order-details takes it and then reads your own write.",
    schema: position,
    example: "3:1712",
  },
  "Retry-After": {
    description: "Seconds to wait before another try.",
    schema: Type.String({ pattern: "^[0-9]+$" }),
    example: "1",
  },
  "Partitions-Elsewhere": {
    description: "Partitions whose ids are missing because other instances hold them. Absent: none is missing.",
    schema: Type.String({ pattern: "^[0-9]+(,[0-9]+)*$" }),
    example: "4,5,6",
  },
  "WWW-Authenticate": {
    description: "What to send in Authorization (RFC 6750).",
    schema: Type.String(),
    example: 'Bearer realm="operator"',
  },
  "X-Accel-Buffering": {
    description: "A proxy must not hold the answer back.",
    schema: Type.Literal("no"),
    example: "no",
  },
  Allow: { description: "The path's methods.", schema: Type.String(), example: "GET, HEAD, OPTIONS" },
  "Cache-Control": { description: "An answer is true for now only.", schema: Type.Literal("no-store"), example: "no-store" },
  "Content-Security-Policy": {
    description: "Lets the page ask for nothing but what is served here.",
    schema: Type.String(),
    example: "default-src 'none'; connect-src 'self'",
  },
} as const satisfies Record<string, Header>;

export type RequestHeader = keyof typeof requestHeaders;
export type ResponseHeader = keyof typeof responseHeaders;
