import { AppError } from "../../../errors.ts";

/**
 * What a protocol error means to whoever sent a request for a partition
 * (https://kafka.apache.org/protocol#protocol_error_codes).
 */
export interface ProtocolError {
  readonly type: string;
  /**
   * - retry: to send the same again may succeed, and what was sent is not in the log.
   * - unsure: to send the same again may succeed, but what was sent may be in the log already. For example, a leader
   *   can lose its place while it waits for the replicas.
   * - too-large, record: the batch is refused for its content, and a part of it may be taken.
   * - sequence: the producer's numbers are not those that the leader has.
   * - fenced: another holder took over.
   * - refused: it is refused for good, or until somebody acts.
   */
  readonly meaning: "retry" | "unsure" | "too-large" | "record" | "sequence" | "fenced" | "refused";
  /** What a person can do, or how the error comes about. */
  readonly advice?: string;
}

const ERRORS: Readonly<Record<number, ProtocolError>> = {
  2: { type: "CORRUPT_MESSAGE", meaning: "record" },
  3: { type: "UNKNOWN_TOPIC_OR_PARTITION", meaning: "retry", advice: "the topic is not there" },
  5: { type: "LEADER_NOT_AVAILABLE", meaning: "retry", advice: "the partition has no leader now" },
  6: { type: "NOT_LEADER_OR_FOLLOWER", meaning: "unsure" },
  7: { type: "REQUEST_TIMED_OUT", meaning: "unsure", advice: "the replicas did not confirm in time" },
  9: { type: "REPLICA_NOT_AVAILABLE", meaning: "retry" },
  10: { type: "MESSAGE_TOO_LARGE", meaning: "too-large" },
  13: { type: "NETWORK_EXCEPTION", meaning: "unsure" },
  14: { type: "COORDINATOR_LOAD_IN_PROGRESS", meaning: "retry" },
  15: {
    type: "COORDINATOR_NOT_AVAILABLE",
    meaning: "retry",
    advice: "the broker has no coordinator for it: is its internal topic there, with enough brokers for its replicas?",
  },
  16: { type: "NOT_COORDINATOR", meaning: "retry" },
  17: { type: "INVALID_TOPIC_EXCEPTION", meaning: "refused", advice: "the broker does not take such a topic's name" },
  18: { type: "RECORD_LIST_TOO_LARGE", meaning: "too-large" },
  19: { type: "NOT_ENOUGH_REPLICAS", meaning: "retry", advice: "fewer replicas are in sync than min.insync.replicas asks" },
  20: { type: "NOT_ENOUGH_REPLICAS_AFTER_APPEND", meaning: "unsure" },
  29: { type: "TOPIC_AUTHORIZATION_FAILED", meaning: "refused" },
  31: { type: "CLUSTER_AUTHORIZATION_FAILED", meaning: "refused", advice: "grant this user IDEMPOTENT_WRITE on the cluster" },
  32: {
    type: "INVALID_TIMESTAMP",
    meaning: "record",
    advice: "is this machine's clock right, and the topic's message.timestamp.before.max.ms and .after.max.ms as they should be?",
  },
  44: { type: "POLICY_VIOLATION", meaning: "refused" },
  45: { type: "OUT_OF_ORDER_SEQUENCE_NUMBER", meaning: "sequence" },
  46: { type: "DUPLICATE_SEQUENCE_NUMBER", meaning: "sequence" },
  47: { type: "INVALID_PRODUCER_EPOCH", meaning: "fenced" },
  49: { type: "INVALID_PRODUCER_ID_MAPPING", meaning: "fenced" },
  51: { type: "CONCURRENT_TRANSACTIONS", meaning: "retry" },
  53: {
    type: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    meaning: "refused",
    advice: "grant this user WRITE and DESCRIBE on the transactional id",
  },
  56: { type: "KAFKA_STORAGE_ERROR", meaning: "unsure", advice: "a disk of the broker fails" },
  58: { type: "SASL_AUTHENTICATION_FAILED", meaning: "refused" },
  59: { type: "UNKNOWN_PRODUCER_ID", meaning: "sequence" },
  74: { type: "FENCED_LEADER_EPOCH", meaning: "unsure" },
  75: { type: "UNKNOWN_LEADER_EPOCH", meaning: "retry" },
  78: { type: "OFFSET_NOT_AVAILABLE", meaning: "retry", advice: "a new leader does not know its end yet" },
  87: { type: "INVALID_RECORD", meaning: "record", advice: "the topic takes no such record; is it compacted?" },
  90: { type: "PRODUCER_FENCED", meaning: "fenced" },
  100: { type: "UNKNOWN_TOPIC_ID", meaning: "retry", advice: "the topic is not there" },
  103: { type: "INCONSISTENT_TOPIC_ID", meaning: "retry", advice: "the topic was made anew" },
};

export const ERROR_OFFSET_OUT_OF_RANGE = 1;
export const ERROR_UNKNOWN_TOPIC = 3;
export const ERROR_TOPIC_AUTHORIZATION_FAILED = 29;
export const ERROR_CLUSTER_AUTHORIZATION_FAILED = 31;
export const ERROR_TOPIC_EXISTS = 36;
export const ERROR_INVALID_REPLICATION_FACTOR = 38;
export const ERROR_INVALID_CONFIG = 40;

export const protocolError = (code: number): ProtocolError => ERRORS[code] ?? { type: `error code ${code}`, meaning: "refused" };

const ADVICE_BY_TYPE = new Map(Object.values(ERRORS).map(({ type, advice }) => [type, advice]));

/** What a person can do about an error of which kafkajs gives the type. */
export const adviceOn = (type: string): string | undefined => ADVICE_BY_TYPE.get(type);

/** "TYPE", or "TYPE: what to do". `right` is the right that the request needs on its topic. */
export const describeError = (code: number, right: "READ" | "WRITE" | "CREATE" | "DESCRIBE"): string => {
  const { type, advice = code === ERROR_TOPIC_AUTHORIZATION_FAILED ? `grant this user ${right} on the topic` : undefined } =
    protocolError(code);
  return advice === undefined ? type : `${type}: ${advice}`;
};

/** This error is newer than kafkajs' table of errors. */
const CODE_PRODUCER_FENCED = 90;

/**
 * The type of a protocol error as kafkajs names it (`REBALANCE_IN_PROGRESS`, …), even if the error is wrapped in
 * others.
 */
export function kafkaErrorType(e: unknown): string | undefined {
  const { type, cause } = (e ?? {}) as { type?: unknown; cause?: unknown };
  if ((e as { code?: unknown } | undefined)?.code === CODE_PRODUCER_FENCED) return "PRODUCER_FENCED";
  if (typeof type === "string") return type;
  return cause === undefined ? undefined : kafkaErrorType(cause);
}

/** The signs that a broker expects to be asked in another way; all other failures are outages. */
const MISCONFIGURATION_SIGNS: readonly (readonly [sign: RegExp, what: string])[] = [
  [
    /SASL|[Aa]uthentication|username or password/,
    "refuses the login; see KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
  ],
  [/before secure TLS|wrong version number|packet length too long|SSL routines/, "speaks no TLS on this port; see KAFKA_TLS"],
  [/certificate|altnames|issuer|CERT_/, "has a certificate that is not trusted; see KAFKA_TLS_CA_FILE"],
  [
    /out of range|outside buffer bounds|not Kafka's protocol/,
    "answers, but not in Kafka's protocol; see whether KAFKA_BROKERS names the right port, and KAFKA_TLS is what it expects",
  ],
];

/** Whether nothing suggests that the broker expects to be asked in another way. */
export const isOutage = (e: unknown): boolean => !MISCONFIGURATION_SIGNS.some(([sign]) => sign.test(causeOf(e)));

/** The signs that something listens at the address. */
const LISTENING_SIGNS = /[Cc]losed|ECONNRESET|EPIPE|socket hang up|timed out/;

/**
 * The end of a sentence, as in "does not answer (Closed connection)". `isNew` means that so far only the question for
 * versions was answered on this connection; a broker answers that even to clients that it will not serve.
 */
export function describeFailure(name: string, e: unknown, isNew = false): string {
  const cause = causeOf(e);
  const what = MISCONFIGURATION_SIGNS.find(([sign]) => sign.test(cause))?.[1] ?? "does not answer";
  const hint =
    isNew && LISTENING_SIGNS.test(cause) && what === "does not answer"
      ? "; if this lasts, see whether KAFKA_BROKERS names the right port, and KAFKA_TLS and KAFKA_SASL_MECHANISM are what it expects"
      : "";
  return `${name} ${what} (${cause})${hint}`;
}

export const unavailable = (e: unknown): AppError =>
  e instanceof AppError ? e : new AppError("LOG_UNAVAILABLE", `The log cannot be asked: ${causeOf(e)}`, {}, e);

/**
 * When kafkajs' error concerns several topics, its message only says that there were errors; the errors themselves are
 * in `errors`.
 */
export function causeOf(e: unknown): string {
  if (!(e instanceof Error)) return String(e);
  const { errors, type } = e as { errors?: unknown; type?: unknown };
  if (Array.isArray(errors)) return `${e.message}: ${errors.map(causeOf).join("; ")}`;
  return typeof type === "string" && !e.message.includes(type) ? `${type}: ${e.message}` : e.message;
}
