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

/** The brokers and how to reach them; undefined for the embedded log. */
export const kafkaConfig = (s: SettingValues): KafkaConfig | undefined =>
  s.kafka_brokers === undefined
    ? undefined
    : {
        brokers: s.kafka_brokers,
        tls: s.kafka_tls ? { ca: s.kafka_tls_ca_file } : false,
        sasl:
          s.kafka_sasl_mechanism === undefined || s.kafka_sasl_username === undefined || s.kafka_sasl_password === undefined
            ? undefined
            : { mechanism: s.kafka_sasl_mechanism, username: s.kafka_sasl_username, password: s.kafka_sasl_password },
      };
