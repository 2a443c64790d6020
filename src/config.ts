import { readFileSync } from "node:fs";
import { type Static, type TInteger, type TSchema, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { AppError } from "./errors.ts";

/**
 * The environment is read here and nowhere else. Each setting is a TypeBox schema: its type and bounds check the variable,
 * its `default` and `description` make the help.
 */
const integer = (defaultValue: number, minimum: number, maximum: number, description: string): TInteger =>
  Type.Integer({ default: defaultValue, minimum, maximum, description });

const choice = <const T extends string>(values: readonly T[], defaultValue: T | undefined, description: string) =>
  Type.Unsafe<T>({ type: "string", enum: values, description, ...(defaultValue === undefined ? {} : { default: defaultValue }) });

const text = (must: string, pattern: string, description: string, more: { default?: string; secret?: true } = {}) =>
  Type.String({ pattern, must, description, ...more });

/** What Kafka takes as a topic's name (at most 249 characters), less the four of the dead-letter topic's `.dlq`. */
const topicPattern = "^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,245}$";
const nameCharacters = "letters, digits, dots, underscores and hyphens";
const portPattern = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const brokerPattern = `[A-Za-z0-9_][A-Za-z0-9._-]{0,252}:${portPattern}`;

const settingsSchema = Type.Object({
  HOST: text("be a host name or an address", "^[A-Za-z0-9.:_-]{1,253}$", "address on which both services listen", {
    default: "127.0.0.1",
  }),
  CART_PORT: integer(8000, 0, 65_535, "port of the cart service; 0 takes a free one"),
  ORDER_PORT: integer(8001, 0, 65_535, "port of the order service; 0 takes a free one"),
  DATA_DIR: text("be a path", "^[^\\0]{1,4096}$", "directory of the state and of the embedded log", { default: "./data" }),

  KAFKA_BROKERS: Type.Optional(
    text(
      "be host:port pairs separated by commas, such as redpanda-0:9092,redpanda-1:9092",
      `^${brokerPattern}(?:\\s*,\\s*${brokerPattern}){0,63}$`,
      "host:port,… of Redpanda or Kafka; unset: the embedded log in DATA_DIR",
    ),
  ),
  KAFKA_TLS: choice(["false", "true"], "false", "whether the brokers are reached over TLS"),
  KAFKA_TLS_CA_FILE: Type.Optional(
    text("be a path", "^[^\\0]{1,4096}$", "PEM file of the certificate authority; unset: the system's"),
  ),
  KAFKA_SASL_MECHANISM: Type.Optional(
    choice(["plain", "scram-sha-256", "scram-sha-512"], undefined, "how to log in; unset: no login"),
  ),
  KAFKA_SASL_USERNAME: Type.Optional(text("have 1 to 1024 characters", "^[^]{1,1024}$", "name to log in with")),
  KAFKA_SASL_PASSWORD: Type.Optional(
    text("have 1 to 1024 characters", "^[^]{1,1024}$", "password to log in with", { secret: true }),
  ),

  ORDERS_TOPIC: text(
    `have 1 to 245 ${nameCharacters}, but not . or .. alone`,
    topicPattern,
    "topic of the orders' events; its dead letters go to <ORDERS_TOPIC>.dlq",
    { default: "orders.events" },
  ),
  TOPIC_PARTITIONS: integer(12, 1, 1_000, "partitions of the topic if it has to be created"),
  CONSUMER_GROUP: text(
    `have 1 to 249 ${nameCharacters}`,
    "^[A-Za-z0-9._-]{1,249}$",
    "group in which order services share the partitions",
    {
      default: "order-service",
    },
  ),
  PARTITIONER: choice(
    ["murmur2", "crc32"],
    "murmur2",
    "where creates go: murmur2 as Java and kafkajs do, crc32 as librdkafka does",
  ),
  SESSION_TIMEOUT_MS: integer(
    10_000,
    1_000,
    1_800_000,
    "silence after which the group gives a member's partitions away (brokers refuse less than 6000)",
  ),

  PARTITIONS_SETTLE_MS: integer(
    10_000,
    0,
    3_600_000,
    "after partitions were added, wait of the creates that move, until every program places by the new count",
  ),
  APPEND_WAIT_MS_MAX: integer(4_000, 10, 4_500, "longest wait for the log to take a create or update; then 503"),
  APPEND_QUEUE_RECORDS_MAX: integer(10_000, 1, 1_000_000, "events waiting to be appended; beyond it 503"),
  APPEND_BATCH_RECORDS_MAX: integer(1_000, 1, 10_000, "events appended at once"),
  READ_WAIT_MS_MAX: integer(2_000, 0, 4_500, "longest wait for a Log-Position to be applied; then 503"),
  IN_FLIGHT_REQUESTS_MAX: integer(4_096, 1, 65_536, "requests answered at the same time by one service; beyond it 503"),
  BODY_BYTES_MAX: integer(65_536, 64, 1_048_576, "longest request body; beyond it 413"),
  BACKOFF_MS_MIN: integer(100, 1, 60_000, "first wait before the log is tried again; it doubles, with jitter"),
  BACKOFF_MS_MAX: integer(2_000, 1, 60_000, "longest wait before the log is tried again"),
  SHUTDOWN_WAIT_MS_MAX: integer(8_000, 0, 60_000, "longest wait for requests in flight when stopping"),

  REDPANDA_CONNECT_BIN: Type.Optional(
    text(
      "be a path",
      "^[^\\0]{1,4096}$",
      "Redpanda Connect, for replay, redrive and archive; unset: looked for on PATH, then in Docker",
    ),
  ),

  OPERATOR_TOKEN: Type.Optional(
    text(
      "have 8 to 1024 characters",
      "^[^]{8,1024}$",
      "what an operator's requests carry as a bearer token; unset: none is taken",
      {
        secret: true,
      },
    ),
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(
    text("be an http or https URL", "^https?://[^\\s]{1,2048}$", "where traces are sent by OTLP over HTTP; unset: none are made"),
  ),
  OTEL_TRACES_SAMPLER_ARG: text(
    "be a number from 0 to 1",
    "^(?:0(?:\\.[0-9]{1,9})?|1(?:\\.0{1,9})?)$",
    "of the traces that begin here, how many are kept; others are as their header says",
    { default: "1" },
  ),
  LOG_LEVEL: choice(["fatal", "error", "warn", "info", "debug", "trace", "silent"], "info", "least level that is logged"),
  LOG_FORMAT: choice(["auto", "json", "pretty"], "auto", "auto is pretty on a terminal and JSON lines elsewhere"),
});

type Settings = Static<typeof settingsSchema>;
type SettingName = keyof Settings;
export type Env = Readonly<Record<string, string | undefined>>;

export interface SaslConfig {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly username: string;
  readonly password: string;
}

export interface KafkaConfig {
  /** host:port of each. */
  readonly brokers: readonly string[];
  /** `ca` is the PEM text of the authority to trust; undefined: the system's. */
  readonly tls: false | { readonly ca: string | undefined };
  readonly sasl: SaslConfig | undefined;
}

/** The settings, checked. Durations are `_ms`, sizes `_bytes`, counts are named by what they count. */
export interface Config {
  readonly host: string;
  readonly cart_port: number;
  readonly order_port: number;
  readonly data_dir: string;
  /** undefined: the embedded log in `data_dir`. */
  readonly kafka: KafkaConfig | undefined;
  readonly orders_topic: string;
  readonly dead_letter_topic: string;
  readonly topic_partitions: number;
  readonly consumer_group: string;
  readonly partitioner: "murmur2" | "crc32";
  readonly session_timeout_ms: number;
  readonly partitions_settle_ms: number;
  readonly append_wait_ms_max: number;
  readonly append_queue_records_max: number;
  readonly append_batch_records_max: number;
  readonly read_wait_ms_max: number;
  readonly in_flight_requests_max: number;
  readonly body_bytes_max: number;
  readonly backoff_ms_min: number;
  readonly backoff_ms_max: number;
  readonly shutdown_wait_ms_max: number;
  readonly redpanda_connect_bin: string | undefined;
  /** undefined: an operator's requests are refused. */
  readonly operator_token: string | undefined;
  /** undefined: none are made. `ratio`: of those that begin here, how many are kept, 0 to 1. */
  readonly traces: { readonly endpoint: string; readonly ratio: number } | undefined;
  readonly log_level: Settings["LOG_LEVEL"];
  readonly log_format: Settings["LOG_FORMAT"];
}

const properties = Object.entries(settingsSchema.properties) as [SettingName, TSchema][];

type ReadFile = (path: string) => string;

/**
 * Reads and checks the environment. An empty variable counts as unset. Throws one CONFIG_INVALID that lists every
 * problem, a line each; a secret's value is never part of it.
 */
export const readConfig = (env: Env, readFile: ReadFile = (path) => readFileSync(path, "utf8")): Config => {
  const raw: Record<string, unknown> = {};
  for (const [name, schema] of properties) raw[name] = coerced(env[name], schema);

  const problems: string[] = [];
  const invalid = new Set<SettingName>();
  for (const [name, schema] of properties) {
    const value = raw[name];
    if (value === undefined) delete raw[name];
    else if (schema.enum !== undefined ? !schema.enum.includes(value) : !Value.Check(schema, value)) {
      invalid.add(name);
      problems.push(`${name} is ${schema.secret ? "not usable" : shown(value)}; it must ${must(schema)}.`);
    }
  }
  const settings = raw as Settings;
  problems.push(...contradictions(settings, (...names) => !names.some((name) => invalid.has(name))));
  const ca = authority(settings, readFile, problems);
  if (problems.length > 0) {
    throw new AppError("CONFIG_INVALID", `The settings are invalid:\n${problems.map((p) => `  ${p}`).join("\n")}`, { problems });
  }
  return toConfig(settings, ca);
};

const coerced = (value: string | undefined, schema: TSchema): unknown => {
  const trimmed = schema.secret ? value : value?.trim();
  if (trimmed === undefined || trimmed === "") return schema.default;
  if (schema.type === "integer") return /^-?[0-9]{1,15}$/.test(trimmed) ? Number(trimmed) : trimmed;
  if (schema.enum !== undefined) return trimmed.toLowerCase();
  return trimmed;
};

const shown = (value: unknown): string => {
  const json = JSON.stringify(value);
  return json.length <= 80 ? json : `${json.slice(0, 77)}…"`;
};

const must = (schema: TSchema): string => {
  if (schema.enum !== undefined) return `be one of ${schema.enum.join(", ")}`;
  if (schema.type === "integer") return `be an integer from ${schema.minimum} to ${schema.maximum}`;
  return schema.must;
};

/** Problems between settings that are each fine by themselves. */
const contradictions = (s: Settings, areValid: (...names: SettingName[]) => boolean): string[] => {
  const problems: string[] = [];
  const sasl = ["KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"] as const;
  const missing = sasl.filter((name) => s[name] === undefined);
  if (missing.length > 0 && missing.length < sasl.length) {
    problems.push(`${missing.join(" and ")} must be set too: a login needs ${sasl.join(", ")}, or none of them.`);
  }
  if (s.KAFKA_BROKERS === undefined && (s.KAFKA_TLS === "true" || missing.length < sasl.length)) {
    problems.push("KAFKA_BROKERS must be set where KAFKA_TLS or KAFKA_SASL_* are: the embedded log has neither.");
  }
  if (s.KAFKA_TLS_CA_FILE !== undefined && s.KAFKA_TLS !== "true") {
    problems.push("KAFKA_TLS must be true where KAFKA_TLS_CA_FILE is set.");
  }
  if (areValid("CART_PORT", "ORDER_PORT") && s.CART_PORT === s.ORDER_PORT && s.CART_PORT !== 0) {
    problems.push(`CART_PORT and ORDER_PORT are both ${s.CART_PORT}; they must differ.`);
  }
  if (areValid("BACKOFF_MS_MIN", "BACKOFF_MS_MAX") && s.BACKOFF_MS_MIN > s.BACKOFF_MS_MAX) {
    problems.push(
      `BACKOFF_MS_MIN is ${s.BACKOFF_MS_MIN}; it must not be greater than BACKOFF_MS_MAX, which is ${s.BACKOFF_MS_MAX}.`,
    );
  }
  if (s.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined && !URL.canParse(s.OTEL_EXPORTER_OTLP_ENDPOINT))
    problems.push("OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://collector:4318.");
  if (
    areValid("APPEND_BATCH_RECORDS_MAX", "APPEND_QUEUE_RECORDS_MAX") &&
    s.APPEND_BATCH_RECORDS_MAX > s.APPEND_QUEUE_RECORDS_MAX
  ) {
    problems.push(
      `APPEND_BATCH_RECORDS_MAX is ${s.APPEND_BATCH_RECORDS_MAX}; it must not be greater than APPEND_QUEUE_RECORDS_MAX, which is ${s.APPEND_QUEUE_RECORDS_MAX}.`,
    );
  }
  return problems;
};

const authority = (s: Settings, readFile: ReadFile, problems: string[]): string | undefined => {
  if (s.KAFKA_TLS_CA_FILE === undefined) return undefined;
  try {
    return readFile(s.KAFKA_TLS_CA_FILE);
  } catch (e) {
    const why = e instanceof Error ? e.message : String(e);
    problems.push(`KAFKA_TLS_CA_FILE is ${shown(s.KAFKA_TLS_CA_FILE)}; it must be a file that can be read (${why}).`);
    return undefined;
  }
};

const toConfig = (s: Settings, ca: string | undefined): Config => ({
  host: s.HOST,
  cart_port: s.CART_PORT,
  order_port: s.ORDER_PORT,
  data_dir: s.DATA_DIR,
  kafka: kafkaConfig(s, ca),
  orders_topic: s.ORDERS_TOPIC,
  dead_letter_topic: `${s.ORDERS_TOPIC}.dlq`,
  topic_partitions: s.TOPIC_PARTITIONS,
  consumer_group: s.CONSUMER_GROUP,
  partitioner: s.PARTITIONER,
  session_timeout_ms: s.SESSION_TIMEOUT_MS,
  partitions_settle_ms: s.PARTITIONS_SETTLE_MS,
  append_wait_ms_max: s.APPEND_WAIT_MS_MAX,
  append_queue_records_max: s.APPEND_QUEUE_RECORDS_MAX,
  append_batch_records_max: s.APPEND_BATCH_RECORDS_MAX,
  read_wait_ms_max: s.READ_WAIT_MS_MAX,
  in_flight_requests_max: s.IN_FLIGHT_REQUESTS_MAX,
  body_bytes_max: s.BODY_BYTES_MAX,
  backoff_ms_min: s.BACKOFF_MS_MIN,
  backoff_ms_max: s.BACKOFF_MS_MAX,
  shutdown_wait_ms_max: s.SHUTDOWN_WAIT_MS_MAX,
  redpanda_connect_bin: s.REDPANDA_CONNECT_BIN,
  operator_token: s.OPERATOR_TOKEN,
  traces:
    s.OTEL_EXPORTER_OTLP_ENDPOINT === undefined
      ? undefined
      : { endpoint: s.OTEL_EXPORTER_OTLP_ENDPOINT, ratio: Number(s.OTEL_TRACES_SAMPLER_ARG) },
  log_level: s.LOG_LEVEL,
  log_format: s.LOG_FORMAT,
});

const kafkaConfig = (s: Settings, ca: string | undefined): KafkaConfig | undefined =>
  s.KAFKA_BROKERS === undefined
    ? undefined
    : {
        brokers: s.KAFKA_BROKERS.split(/\s*,\s*/),
        tls: s.KAFKA_TLS === "true" ? { ca } : false,
        sasl:
          s.KAFKA_SASL_MECHANISM === undefined || s.KAFKA_SASL_USERNAME === undefined || s.KAFKA_SASL_PASSWORD === undefined
            ? undefined
            : { mechanism: s.KAFKA_SASL_MECHANISM, username: s.KAFKA_SASL_USERNAME, password: s.KAFKA_SASL_PASSWORD },
      };

/** The settings with their defaults and meaning, for `bun start --help`. */
export const settingsHelp = (): string => {
  const width = Math.max(...properties.map(([name]) => name.length));
  const lines = properties.map(([name, schema]) => {
    const values = schema.enum === undefined ? "" : `; one of ${schema.enum.join(", ")}`;
    const range = schema.type === "integer" ? `; ${schema.minimum} to ${schema.maximum}` : "";
    return `  ${name.padEnd(width)}  ${String(schema.default ?? "(unset)").padEnd(13)}  ${schema.description}${values}${range}`;
  });
  return `Settings are environment variables, checked at the start (name, default, meaning):\n\n${lines.join("\n")}\n`;
};
