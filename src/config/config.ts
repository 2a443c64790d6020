import { readFileSync } from "node:fs";
import type { TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { hostsOf, listed, listeningAddress } from "./addresses.ts";
import { mustBe, shown, type TextOptions } from "./kinds.ts";
import { isServiceLink, nearMisses } from "./near-misses.ts";
import { openTelemetryFiles, headerValues, type TracesConfig, tracesConfig } from "./open-telemetry.ts";
import { type SettingName, type Settings, settingsTable } from "./settings.ts";
import { AppError } from "../errors.ts";

/** The environment is read here and nowhere else; `config/settings.ts` has the table of what it may hold. */
export type Env = Readonly<Record<string, string | undefined>>;

export interface SaslConfig {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly username: string;
  readonly password: string;
}

export interface KafkaConfig {
  /** host:port of each; an IPv6 address stands in brackets. */
  readonly brokers: readonly string[];
  /** `ca` is the PEM text of the authority to trust; undefined: the system's. */
  readonly tls: false | { readonly ca: string | undefined };
  readonly sasl: SaslConfig | undefined;
}

/** The settings, checked. Durations are `_ms`, sizes `_bytes`, counts are named by what they count. */
export interface Config {
  /** A name or an address, one of IPv6 without brackets. */
  readonly host: string;
  readonly cart_port: number;
  readonly order_port: number;
  /** Hosts served beside those of loopback: small letters, no ports, IPv6 addresses without brackets and as URLs write them. */
  readonly allowed_hosts: readonly string[];
  readonly data_dir: string;
  /** undefined: the embedded log in `data_dir`. */
  readonly kafka: KafkaConfig | undefined;
  readonly orders_topic: string;
  readonly dead_letter_topic: string;
  readonly topic_partitions: number;
  /** Of a topic that has to be created; undefined: as the brokers have it. */
  readonly topic_replicas: number | undefined;
  /** complete: a log without its first records halts a new state. accept: what is left of it is taken for all there is. */
  readonly log_start: Settings["LOG_START"];
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
  /** undefined: none are made. */
  readonly traces: TracesConfig | undefined;
  readonly log_level: Settings["LOG_LEVEL"];
  readonly log_format: Settings["LOG_FORMAT"];
  /** The values of all secret settings, which no line of the log may have. */
  readonly secrets: readonly string[];
}

type ReadFile = (path: string) => string;

/**
 * Reads and checks the environment. An empty variable counts as unset. Throws one CONFIG_INVALID that lists every
 * problem, a line each; a secret's value is never part of it.
 */
export const readConfig = (given: Env, readFile: ReadFile = (path) => readFileSync(path, "utf8")): Config => {
  const env = withoutDisabled(given);
  const raw: Record<string, unknown> = {};
  const problems = nearMisses(
    env,
    settingsTable.map(([name]) => name),
  );
  const invalid = new Set<SettingName>();
  for (const [name, schema] of settingsTable) {
    const value = coerced(env[name], schema);
    if (value === undefined) continue;
    raw[name] = value;
    const refusal = refused(name, value, schema);
    if (refusal === undefined) continue;
    invalid.add(name);
    problems.push(refusal);
  }
  const settings = raw as Settings;
  problems.push(...contradictions(settings, (...names) => !names.some((name) => invalid.has(name))));
  const readPem = (name: SettingName) => pemFile(name, settings, readFile, problems);
  const ca = readPem("KAFKA_TLS_CA_FILE");
  for (const name of openTelemetryFiles) readPem(name);
  if (problems.length > 0) {
    throw new AppError("CONFIG_INVALID", `The settings are invalid:\n${problems.map((p) => `  ${p}`).join("\n")}`, { problems });
  }
  return toConfig(settings, ca);
};

/** Who turns OpenTelemetry off is not held to the rest of its variables, which may be meant for other programs. */
const withoutDisabled = (env: Env): Env =>
  env["OTEL_SDK_DISABLED"]?.trim().toLowerCase() === "true"
    ? Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("OTEL_") || name === "OTEL_SDK_DISABLED"))
    : env;

/** The sentence that refuses a value; undefined where it is fine. */
const refused = (name: string, value: unknown, schema: TSchema): string | undefined => {
  const fits: boolean = schema.enum === undefined ? Value.Check(schema, value) : schema.enum.includes(value);
  const flaw = fits ? (schema.flaw as TextOptions["flaw"])?.(String(value)) : "";
  if (flaw === undefined) return undefined;
  const sentences = [`${name} is ${schema.secret ? "not usable" : shown(value)}; it must ${mustBe(schema)}.`, flaw];
  if (isServiceLink(String(value))) sentences.push(serviceLinkAdvice(name));
  return sentences.filter((sentence) => sentence !== "").join(" ");
};

const serviceLinkAdvice = (name: string): string =>
  `Kubernetes sets it so beside a service of that name: set ${name} in the pod's env, or enableServiceLinks: false in its spec.`;

const coerced = (value: string | undefined, schema: TSchema): unknown => {
  const trimmed = schema.secret ? value : value?.trim();
  if (trimmed === undefined || trimmed === "") return schema.default;
  if (schema.type === "integer") return /^-?[0-9]{1,15}$/.test(trimmed) ? Number(trimmed) : trimmed;
  if (schema.enum !== undefined) return trimmed.toLowerCase();
  return trimmed;
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
  const notGreater = [
    ["BACKOFF_MS_MIN", "BACKOFF_MS_MAX"],
    ["APPEND_BATCH_RECORDS_MAX", "APPEND_QUEUE_RECORDS_MAX"],
    ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_MAX_QUEUE_SIZE"],
  ] as const;
  for (const [less, more] of notGreater) {
    if (areValid(less, more) && s[less] > s[more])
      problems.push(`${less} is ${s[less]}; it must not be greater than ${more}, which is ${s[more]}.`);
  }
  return problems;
};

/** What is in the PEM file that a setting names. */
const pemFile = (name: SettingName, s: Settings, readFile: ReadFile, problems: string[]): string | undefined => {
  const path = s[name];
  if (typeof path !== "string") return undefined;
  try {
    const content = readFile(path);
    if (/-----BEGIN [A-Z0-9 ]+-----/.test(content)) return content;
    problems.push(`${name} is ${shown(path)}; it must be a file in PEM format, which has a line -----BEGIN …-----.`);
  } catch (e) {
    const why = e instanceof Error ? e.message : String(e);
    problems.push(`${name} is ${shown(path)}; it must be a file that can be read (${why}).`);
  }
  return undefined;
};

const toConfig = (s: Settings, ca: string | undefined): Config => ({
  host: listeningAddress(s.HOST),
  cart_port: s.CART_PORT,
  order_port: s.ORDER_PORT,
  allowed_hosts: s.ALLOWED_HOSTS === undefined ? [] : hostsOf(s.ALLOWED_HOSTS),
  data_dir: s.DATA_DIR,
  kafka: kafkaConfig(s, ca),
  orders_topic: s.ORDERS_TOPIC,
  dead_letter_topic: `${s.ORDERS_TOPIC}.dlq`,
  topic_partitions: s.TOPIC_PARTITIONS,
  topic_replicas: s.TOPIC_REPLICATION,
  log_start: s.LOG_START,
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
  traces: tracesConfig(s),
  log_level: s.LOG_LEVEL,
  log_format: s.LOG_FORMAT,
  secrets: secretsOf(s),
});

const secretsOf = (s: Settings): string[] => {
  const values = settingsTable.flatMap(([name, { secret }]) => (secret && s[name] !== undefined ? [String(s[name])] : []));
  return [...new Set([...values, ...headerValues(s)])];
};

const kafkaConfig = (s: Settings, ca: string | undefined): KafkaConfig | undefined =>
  s.KAFKA_BROKERS === undefined
    ? undefined
    : {
        brokers: listed(s.KAFKA_BROKERS),
        tls: s.KAFKA_TLS === "true" ? { ca } : false,
        sasl:
          s.KAFKA_SASL_MECHANISM === undefined || s.KAFKA_SASL_USERNAME === undefined || s.KAFKA_SASL_PASSWORD === undefined
            ? undefined
            : { mechanism: s.KAFKA_SASL_MECHANISM, username: s.KAFKA_SASL_USERNAME, password: s.KAFKA_SASL_PASSWORD },
      };
