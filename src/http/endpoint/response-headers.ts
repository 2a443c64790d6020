import { type TSchema, Type } from "@sinclair/typebox";
import { requestedPosition } from "./request-headers.ts";

/** A header of an answer, as the documents describe it. */
export interface ResponseHeader {
  readonly description: string;
  readonly schema: TSchema;
  readonly example: string;
}

export const responseHeaders = {
  "Log-Position": {
    description:
      "<partition>:<offset> of the event in the log; GET /order-details takes it and then reads your own write. With Age: everything up to there is applied in the answer.",
    schema: requestedPosition.schema,
    example: "3:1712",
  },
  Age: {
    description:
      "Seconds since the answer was last known to be current, rounded up (RFC 9111). Absent: it is as its owner has it, who is not known to be more than 3 s behind the log.",
    schema: Type.String({ pattern: "^[1-9][0-9]*$" }),
    example: "2",
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
} as const satisfies Record<string, ResponseHeader>;

export type ResponseHeaderName = keyof typeof responseHeaders;
