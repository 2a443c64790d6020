import { join } from "node:path";
import type { SettingValues } from "./settings.ts";

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
export const logConfig = (s: SettingValues): LogConfig =>
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
