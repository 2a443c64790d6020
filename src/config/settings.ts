import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { brokersFlaw, hostsFlaw } from "./addresses.ts";
import { choice, integer, path, text } from "./kinds.ts";
import { openTelemetrySettings } from "./open-telemetry.ts";

/** What Kafka takes as a topic's name (at most 249 characters), less the four of the dead-letter topic's `.dlq`. */
const topicPattern = "^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,245}$";
/** As many entries as anybody needs, each as long as a name may be. */
const listPattern = "^[^,]{1,300}(?:,[^,]{1,300}){0,63}$";
const credentialMust = "have 1 to 1024 characters, the last one no line end, as a file has";
const credentialPattern = "^[^]{0,1023}[^\\r\\n]$";
const nameCharacters = "letters, digits, dots, underscores and hyphens";

/** Every setting there is, in the order of the help. */
const settingsSchema = Type.Object({
  HOST: text(
    "be a host name or an address",
    "^(?:[A-Za-z0-9.:_-]{1,253}|\\[[0-9A-Fa-f:.]{2,45}\\])$",
    "address on which both services listen",
    { default: "127.0.0.1" },
  ),
  CART_PORT: integer(8000, 0, 65_535, "port of the cart service; 0 takes a free one"),
  ORDER_PORT: integer(8001, 0, 65_535, "port of the order service; 0 takes a free one"),
  ALLOWED_HOSTS: Type.Optional(
    text(
      "be host names or addresses separated by commas",
      listPattern,
      "names served beside loopback's; unset: with a loopback HOST those alone, else any",
      { flaw: hostsFlaw },
    ),
  ),
  DATA_DIR: path("directory of the state and of the embedded log", { default: "./data" }),

  KAFKA_BROKERS: Type.Optional(
    text(
      "be host:port pairs separated by commas, such as redpanda-0:9092,[2001:db8::1]:9092",
      listPattern,
      "host:port,… of Redpanda or Kafka; unset: the embedded log in DATA_DIR",
      { flaw: brokersFlaw },
    ),
  ),
  KAFKA_TLS: choice(["false", "true"], "false", "whether the brokers are reached over TLS"),
  KAFKA_TLS_CA_FILE: Type.Optional(path("PEM file of the certificate authority; unset: the system's")),
  KAFKA_SASL_MECHANISM: Type.Optional(
    choice(["plain", "scram-sha-256", "scram-sha-512"], undefined, "how to log in; unset: no login"),
  ),
  KAFKA_SASL_USERNAME: Type.Optional(text(credentialMust, credentialPattern, "name to log in with")),
  KAFKA_SASL_PASSWORD: Type.Optional(text(credentialMust, credentialPattern, "password to log in with", { secret: true })),

  ORDERS_TOPIC: text(
    `have 1 to 245 ${nameCharacters}, but not . or .. alone`,
    topicPattern,
    "topic of the orders' events; its dead letters go to <ORDERS_TOPIC>.dlq",
    { default: "orders.events" },
  ),
  TOPIC_PARTITIONS: integer(12, 1, 1_000, "partitions of the topic if it has to be created"),
  TOPIC_REPLICATION: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      description: "replicas of the topic if it has to be created; unset: as the brokers have it",
    }),
  ),
  LOG_START: choice(
    ["complete", "accept"],
    "complete",
    "a topic that has lost its first records halts a new state; accept: what is left of it is taken for all there is",
  ),
  CONSUMER_GROUP: text(
    `have 1 to 249 ${nameCharacters}`,
    "^[A-Za-z0-9._-]{1,249}$",
    "group in which order services share the partitions",
    {
      default: "order-processing",
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
    path("Redpanda Connect, for replay, redrive and archive; unset: looked for on PATH, then in Docker"),
  ),

  OPERATOR_TOKEN: Type.Optional(
    text(
      "have 8 to 1024 visible ASCII characters: no space, and no line end as a file has",
      "^[!-~]{8,1024}$",
      "what an operator's requests carry as a bearer token; unset: none is taken",
      {
        secret: true,
      },
    ),
  ),
  LOG_LEVEL: choice(["fatal", "error", "warn", "info", "debug", "trace", "silent"], "info", "least level that is logged"),
  LOG_FORMAT: choice(["auto", "json", "pretty"], "auto", "auto is pretty on a terminal and JSON lines elsewhere"),

  ...openTelemetrySettings,
});

export type Settings = Static<typeof settingsSchema>;
export type SettingName = keyof Settings;

export const settingsTable = Object.entries(settingsSchema.properties) as [SettingName, TSchema][];

/** The settings with their defaults and meaning, for `bun start --help`. */
export const settingsHelp = (): string => {
  const width = Math.max(...settingsTable.map(([name]) => name.length));
  const lines = settingsTable.map(([name, schema]) => {
    const values = schema.enum === undefined ? "" : `; one of ${schema.enum.join(", ")}`;
    const range = schema.type === "integer" ? `; ${schema.minimum} to ${schema.maximum}` : "";
    return `  ${name.padEnd(width)}  ${String(schema.default ?? "(unset)").padEnd(13)}  ${schema.description}${values}${range}`;
  });
  return `Settings are environment variables, checked at the start (name, default, meaning):\n\n${lines.join("\n")}\n`;
};
