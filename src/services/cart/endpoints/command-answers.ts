import { Type } from "@sinclair/typebox";
import type { ErrorCode } from "../../../errors.ts";
import type { Answer } from "../../../http/endpoint/documentation.ts";
import { formatLogPosition, type LogPosition } from "../../../log/log-position.ts";
import { orderIdSchema } from "../../../orders/events/fields.ts";

/**
 * The answer of a command whose event is in the log. The JSON is written by hand: an order id is `ORD-` and digits, so
 * there is nothing to escape.
 */
export const publishedResponse = (message: string, orderId: string, position: LogPosition): Response =>
  new Response(`{"message":"${message}","orderId":"${orderId}"}`, {
    headers: { "content-type": "application/json", "log-position": formatLogPosition(position) },
  });

export const publishedAnswer = (title: string, message: string): Answer => ({
  description: "It is in the log.",
  schema: Type.Object({ message: Type.Literal(message), orderId: orderIdSchema }, { title }),
  example: { message, orderId: "ORD-123" },
  headers: ["Log-Position"],
});

/** The errors that any command may answer. */
export const commandErrors: readonly ErrorCode[] = [
  "NOT_JSON",
  "IDEMPOTENCY_KEY_INVALID",
  "IDEMPOTENCY_KEY_IN_USE",
  "BODY_TOO_SLOW",
  "BODY_TOO_LARGE",
  "EVENT_TOO_LARGE",
  "NOT_JSON_TYPE",
  "EXPECTATION_FAILED",
  "INVALID_FIELD",
  "IDEMPOTENCY_KEY_REUSED",
  "LOG_UNAVAILABLE",
  "APPEND_OUTCOME_UNKNOWN",
  "APPEND_REFUSED",
  "CATCHING_UP",
  "PARTITION_HALTED",
  "PARTITION_BLOCKED",
  "OWNER_UNREACHABLE",
];
