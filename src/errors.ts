/**
 * Every error that this system answers or logs, under a stable code. `status` is the HTTP status, for errors that can
 * reach a client. `title` is RFC 9457's: it never changes from one occurrence to another.
 */
export const errorCatalogue = {
  HOST_INVALID: { status: 400, title: "The Host header is invalid" },
  PATH_INVALID: { status: 400, title: "The path is invalid" },
  NOT_JSON: { status: 400, title: "The body is not JSON" },
  IDEMPOTENCY_KEY_INVALID: { status: 400, title: "The Idempotency-Key header is invalid" },
  LOG_POSITION_INVALID: { status: 400, title: "The Log-Position header is invalid" },
  OPERATOR_TOKEN_NEEDED: { status: 401, title: "The operator's token is needed" },
  PEER_TOKEN_NEEDED: { status: 401, title: "The fleet's token is needed" },
  OPERATOR_ONLY: { status: 403, title: "Only an operator may do this" },
  PEER_TOKEN_WRONG: { status: 403, title: "The token is not this fleet's" },
  NOT_FOUND: { status: 404, title: "There is nothing here" },
  ORDER_NOT_FOUND: { status: 404, title: "No such order" },
  METHOD_NOT_ALLOWED: { status: 405, title: "The method is not allowed" },
  BODY_TOO_SLOW: { status: 408, title: "The body came too slowly" },
  ORDER_EXISTS: { status: 409, title: "The order exists" },
  IDEMPOTENCY_KEY_IN_USE: { status: 409, title: "A request with this Idempotency-Key is being processed" },
  EVENT_TOO_LARGE: { status: 413, title: "The log can never take an event of this size" },
  BODY_TOO_LARGE: { status: 413, title: "The body is too large" },
  NOT_JSON_TYPE: { status: 415, title: "The content type is not JSON's" },
  EXPECTATION_FAILED: { status: 417, title: "The expectation is not heeded" },
  HOST_NOT_SERVED: { status: 421, title: "The service is not asked by this name" },
  PARTITION_ELSEWHERE: { status: 421, title: "The partition is held by another instance" },
  INVALID_FIELD: { status: 422, title: "A field is invalid" },
  IDEMPOTENCY_KEY_REUSED: { status: 422, title: "The Idempotency-Key was used with another request" },
  OPERATOR_TOKEN_GUESSED: { status: 429, title: "Too many wrong operator's tokens" },
  INTERNAL: { status: 500, title: "Internal error" },
  LOG_UNAVAILABLE: { status: 503, title: "The log cannot be reached now" },
  APPEND_OUTCOME_UNKNOWN: { status: 503, title: "It is not known whether the event was appended" },
  APPEND_REFUSED: { status: 503, title: "The log refuses the event" },
  OVERLOADED: { status: 503, title: "Too many requests are waiting" },
  CATCHING_UP: { status: 503, title: "The state is still being read from the log" },
  PARTITION_HALTED: { status: 503, title: "The partition is halted" },
  /** It is suspended, as its store fails, or blocked, as its dead letters cannot be appended. */
  PARTITION_BLOCKED: { status: 503, title: "The partition waits for its store or its dead letters" },
  POSITION_NOT_REACHED: { status: 503, title: "The position is not applied yet" },
  OWNER_UNREACHABLE: { status: 503, title: "The partition's owner does not answer" },
  SERVICE_UNAVAILABLE: { status: 503, title: "A service does not answer as it should" },
  SHUTTING_DOWN: { status: 503, title: "The service is shutting down" },
  PRODUCER_FENCED: { status: 500, title: "Another producer took over" },
  OFFSET_OUT_OF_RANGE: { status: 500, title: "A stored offset lies outside the log" },
  LOG_DISAGREES: { status: 500, title: "The log holds another record than the one applied" },
  STATE_DISAGREES: { status: 500, title: "Two members have folded the same records into different rows" },
  FOLD_FAILED: { status: 500, title: "The fold failed" },
  STORE_FAILED: { status: 500, title: "The store failed" },
  STORAGE_FAILED: { status: 500, title: "The storage of snapshots failed" },
  SNAPSHOT_FAILED: { status: 500, title: "The snapshot could not be taken" },
  SNAPSHOT_UNUSABLE: { status: 500, title: "The snapshot cannot be used" },
  CONFIG_INVALID: { status: 500, title: "The settings are invalid" },
  DATA_DIR_IN_USE: { status: 500, title: "The data directory is in use" },
  OPTION_INVALID: { status: 500, title: "The command's options are invalid" },
  CONNECT_NOT_FOUND: { status: 500, title: "Redpanda Connect was not found" },
  CONNECT_FAILED: { status: 500, title: "Redpanda Connect failed" },
  FILE_UNUSABLE: { status: 500, title: "A file or directory cannot be used" },
  OPERATION_REFUSED: { status: 500, title: "The operation cannot go on" },
  INTERRUPTED: { status: 500, title: "The operation was interrupted" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof errorCatalogue;

/**
 * An error of the catalogue. `message` is a sentence for people; `extra` goes beside it into problem+json and the log.
 */
export class AppError extends Error {
  override readonly name = "AppError";
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly extra: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

export const isAppError = (e: unknown, code?: ErrorCode): e is AppError =>
  e instanceof AppError && (code === undefined || e.code === code);

/** For the default of a switch whose cases the compiler knows to be complete. */
export function unreachable(value: never): never {
  throw new Error(`Not one of the cases that there are: ${String(value)}`);
}
