import { join } from "node:path";
import { brokersFlaw, listed, listPattern } from "./addresses.ts";
import { choice, flag, pemFile, text, textReadAs, type ValuesOf, whereSet } from "./setting.ts";

const credential = {
  must: "have 1 to 1024 characters, without the line break that ends a file",
  pattern: /^[^]{0,1023}[^\r\n]$/,
};

/** The program gets these as one value, `log`. */
export const logSettings = {
  KAFKA_BROKERS: textReadAs(
    {
      must: "be host:port pairs separated by commas, such as redpanda-0:9092,[2001:db8::1]:9092",
      pattern: listPattern,
      flaw: brokersFlaw,
      words: "host:port,… of Redpanda or Kafka; unset: the embedded log in DATA_DIR",
      note: "An IPv6 address stands in brackets: `[2001:db8::1]:9092`.",
    },
    whereSet(listed),
  ),
  KAFKA_TLS: flag({ words: "whether the brokers are reached over TLS" }),
  KAFKA_TLS_CA_FILE: pemFile({ words: "PEM file of the certificate authority; unset: the system's" }),
  KAFKA_SASL_MECHANISM: choice(["plain", "scram-sha-256", "scram-sha-512"], { words: "how to log in; unset: no login" }),
  KAFKA_SASL_USERNAME: text({ ...credential, words: "name to log in with" }),
  KAFKA_SASL_PASSWORD: text({ ...credential, words: "password to log in with", secret: true }),
};

interface SaslConfig {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly username: string;
  readonly password: string;
}

export interface KafkaConfig {
  /** Each is `host:port`; an IPv6 address stands in brackets. */
  readonly brokers: readonly string[];
  /** `ca` is the PEM text of the certificate authority to trust; undefined means the system's. */
  readonly tls: false | { readonly ca: string | undefined };
  readonly sasl: SaslConfig | undefined;
}

interface EmbeddedConfig {
  /** The path of the log's file. */
  readonly path: string;
}

interface LogConfigs {
  readonly kafka: KafkaConfig;
  readonly embedded: EmbeddedConfig;
}

export type LogKindName = keyof LogConfigs;

/** Which log the services use, and how it is reached. `log/log-kinds.ts` says what else differs from kind to kind. */
export type LogConfig<Name extends LogKindName = LogKindName> = {
  [Each in Name]: { readonly kind: Each } & LogConfigs[Each];
}[Name];

/** The brokers where KAFKA_BROKERS is set, else the embedded log in the data directory. */
export const logConfig = (s: ValuesOf<typeof logSettings> & { readonly data_dir: string }): LogConfig =>
  s.kafka_brokers === undefined
    ? { kind: "embedded", path: join(s.data_dir, "log.sqlite") }
    : {
        kind: "kafka",
        brokers: s.kafka_brokers,
        tls: s.kafka_tls ? { ca: s.kafka_tls_ca_file } : false,
        sasl:
          s.kafka_sasl_mechanism === undefined || s.kafka_sasl_username === undefined || s.kafka_sasl_password === undefined
            ? undefined
            : { mechanism: s.kafka_sasl_mechanism, username: s.kafka_sasl_username, password: s.kafka_sasl_password },
      };
