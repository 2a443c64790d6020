import { type TProperties, type TSchema, Type } from "@sinclair/typebox";
import { type ErrorCode, errorCatalogue } from "../errors.ts";
import { problemType } from "../http/problem.ts";

const partition = Type.Optional(Type.Integer({ minimum: 0 }));
const offset = Type.Optional(Type.Integer({ minimum: 0 }));
const orderId = Type.Optional(Type.String());

/** The members of a problem beside those of RFC 9457. */
const members: Partial<Record<ErrorCode, TProperties>> = {
  BODY_TOO_LARGE: { body_bytes_max: Type.Integer() },
  CATCHING_UP: { partition, nextOffset: offset, endOffset: offset, membership: Type.Optional(Type.String()) },
  INVALID_FIELD: {
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          field: Type.String({ description: "Empty: the whole body." }),
          detail: Type.String(),
        }),
      ),
    ),
  },
  METHOD_NOT_ALLOWED: { allow: Type.String() },
  ORDER_EXISTS: { orderId },
  ORDER_NOT_FOUND: { orderId },
  PARTITION_ELSEWHERE: {
    orderId,
    partition: Type.Optional(Type.Integer({ minimum: 0, description: "Absent where it is not known which." })),
    partitions: Type.Optional(Type.Array(Type.Integer(), { description: "Those that other instances hold." })),
  },
  LOG_UNAVAILABLE: { partition },
  OWNER_UNREACHABLE: { partition },
  PARTITION_BLOCKED: { partition },
  PARTITION_HALTED: { partition },
  POSITION_NOT_REACHED: { partition, offset, nextOffset: offset },
};

/** An example of each problem: its `detail`, and its further members. */
const examples: Partial<Record<ErrorCode, readonly [detail: string, members?: Readonly<Record<string, unknown>>]>> = {
  HOST_INVALID: ["The Host header must be one name or address, and a port if any."],
  PATH_INVALID: ["The path must be one, and its escapes must be UTF-8."],
  NOT_JSON: ["The body is not valid JSON."],
  IDEMPOTENCY_KEY_INVALID: ["The Idempotency-Key header must be one string of 1 to 255 printable ASCII characters in quotes."],
  LOG_POSITION_INVALID: ["The Log-Position header must be <partition>:<offset>, such as 3:1712."],
  OPERATOR_TOKEN_NEEDED: [
    "The Authorization header must be `Bearer <OPERATOR_TOKEN>` with the token this service was started with.",
  ],
  OPERATOR_ONLY: ["This service takes no operator's requests; start it with OPERATOR_TOKEN set to take them."],
  NOT_FOUND: ["There is nothing at this path. What there is: /health/live, /health/ready."],
  ORDER_NOT_FOUND: ["There is no order ORD-123.", { orderId: "ORD-123" }],
  METHOD_NOT_ALLOWED: ["/health/live takes GET, HEAD, OPTIONS.", { allow: "GET, HEAD, OPTIONS" }],
  ORDER_EXISTS: ["The order ORD-123 exists already.", { orderId: "ORD-123" }],
  IDEMPOTENCY_KEY_IN_USE: ["Another request with this Idempotency-Key is being processed; wait for its answer, then try again."],
  BODY_TOO_SLOW: ["The body was not there after 10 s; send the request again, and its body at once."],
  EVENT_TOO_LARGE: ["The event has 1100000 bytes; the topic takes at most 1048588."],
  EXPECTATION_FAILED: ["The Expect header is not heeded; send the request without it."],
  HOST_NOT_SERVED: ["This service is not asked by that name. Ask it by its address, or start it with the name in ALLOWED_HOSTS."],
  OPERATOR_TOKEN_GUESSED: ["Too many wrong tokens came from your address; wait 60 s."],
  BODY_TOO_LARGE: ["The body must not be longer than 65536 bytes.", { body_bytes_max: 65_536 }],
  NOT_JSON_TYPE: ["The Content-Type header must be application/json."],
  PARTITION_ELSEWHERE: ["Partition 7 is held by another instance; ask that one.", { partition: 7 }],
  INVALID_FIELD: [
    "number_of_items must be an integer from 1 to 1000.",
    { errors: [{ field: "number_of_items", detail: "number_of_items must be an integer from 1 to 1000." }] },
  ],
  IDEMPOTENCY_KEY_REUSED: ["This Idempotency-Key was used for another request; take a new key for a new request."],
  INTERNAL: ["The request failed for a reason that is not yours; it is logged here."],
  LOG_UNAVAILABLE: ["The log did not take the event in time; it was not appended. Try again."],
  APPEND_OUTCOME_UNKNOWN: [
    "The log did not confirm the event in time; it may or may not be appended. Try again with the same Idempotency-Key; without one, look before you retry.",
  ],
  OVERLOADED: ["4096 requests are being answered already; try again soon."],
  CATCHING_UP: [
    "Partition 3 is catching up: the next offset that it applies is 1500, and the log ends at 1712; ask again.",
    { partition: 3, nextOffset: 1500, endOffset: 1712 },
  ],
  PARTITION_BLOCKED: [
    "Partition 3 waits. STORE_FAILED: Its store fails: data/state/9f2c/order-service-0/orders.events.3.sqlite: database or disk is full. Make room or mend the disk; the partition then goes on by itself",
    { partition: 3 },
  ],
  PARTITION_HALTED: [
    "Partition 3 is halted: At offset 1712 the log holds another record than the one applied: the topic was made anew or restored differently, or the log lost its end.",
    { partition: 3 },
  ],
  POSITION_NOT_REACHED: [
    "Partition 3 has not applied offset 1712 yet: the next offset that it applies is 1500; ask again.",
    { partition: 3, offset: 1712, nextOffset: 1500 },
  ],
  OWNER_UNREACHABLE: [
    "Partition 3 cannot be asked now; ask again. http://10.0.0.6:8001 does not answer: connection refused.",
    { partition: 3 },
  ],
  SHUTTING_DOWN: ["The service is stopping; ask another instance, or this one again soon."],
};

/** The schema of a problem by RFC 9457, with the catalogue's code. */
export const problemSchema = (code: ErrorCode): TSchema => {
  const { status, title } = errorCatalogue[code];
  return Type.Object(
    {
      type: Type.Literal(problemType(code)),
      title: Type.Literal(title),
      status: Type.Literal(status),
      detail: Type.String({ description: "A sentence for people." }),
      code: Type.Literal(code),
      ...members[code],
    },
    { title: code },
  );
};

export const problemExample = (code: ErrorCode): Readonly<Record<string, unknown>> => {
  const { status, title } = errorCatalogue[code];
  const [detail, more] = examples[code] ?? [title];
  return { type: problemType(code), title, status, detail, code, ...more };
};
