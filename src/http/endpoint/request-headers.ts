import { Type } from "@sinclair/typebox";
import { parseIdempotencyKey, parseTraceparent, parseTracestate } from "../headers.ts";
import { AppError } from "../../errors.ts";
import { parseLogPosition } from "../../log/log-position.ts";
import { headerParameter } from "./parameter.ts";

/** Parses the header only if the request has it. */
const ifGiven =
  <Value>(parse: (header: string) => Value) =>
  (header: string | undefined): Value | undefined =>
    header === undefined ? undefined : parse(header);

export const idempotencyKey = headerParameter("Idempotency-Key", {
  description:
    "1 to 255 printable ASCII characters, in quotes or without. A retry with the same key gets the first answer and adds nothing (draft-ietf-httpapi-idempotency-key-header-07).",
  schema: Type.String({ minLength: 1 }),
  example: '"b7e1c1de-5b0a-4c40-9ad9-0b5a4d0c9a51"',
  parse: ifGiven(parseIdempotencyKey),
});

export const traceparent = headerParameter("traceparent", {
  description: "W3C Trace Context; goes into the event's headers. Absent or malformed: a new trace begins.",
  schema: Type.String(),
  example: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  parse: ifGiven(parseTraceparent),
});

export const tracestate = headerParameter("tracestate", {
  description:
    "W3C Trace Context; goes with traceparent into the event's headers, if it is well-formed and has at most 512 characters.",
  schema: Type.String(),
  example: "vendor=t61rcWkgMzE",
  parse: ifGiven(parseTracestate),
});

export const requestedPosition = headerParameter("Log-Position", {
  description: "The Log-Position of an answer of the cart service: the answer waits until the event there is applied.",
  schema: Type.String({ pattern: "^[0-9]{1,9}:[0-9]{1,16}$" }),
  example: "3:1712",
  parse: ifGiven((header) => {
    const position = parseLogPosition(header);
    if (position) return position;
    throw new AppError("LOG_POSITION_INVALID", "The Log-Position header must be <partition>:<offset>, such as 3:1712.");
  }),
});
