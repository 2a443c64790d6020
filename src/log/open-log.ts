import { hostname } from "node:os";
import { join, resolve } from "node:path";
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { NewUuid, Random } from "../random.ts";
import { KafkaLog } from "./kafka/kafka-log.ts";
import type { Log } from "./log.ts";
import { openSqliteLog } from "./sqlite-log.ts";

export interface OpenLogOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly newUuid: NewUuid;
  /** Where kafkajs' own messages go. */
  readonly onClientMessage: (message: string) => void;
}

/** Where the embedded log is, while KAFKA_BROKERS is not set. */
export const embeddedLogPath = ({ data_dir }: Pick<Config, "data_dir">): string => join(data_dir, "log.sqlite");

/** Which log it is, and why, for people: who forgets KAFKA_BROKERS looks into another one. */
export const logName = ({ kafka, data_dir }: Pick<Config, "kafka" | "data_dir">): string =>
  kafka
    ? `Kafka at ${kafka.brokers.join(",")}`
    : `embedded in ${resolve(embeddedLogPath({ data_dir }))}, as KAFKA_BROKERS is not set`;

/** The log that the settings name: the brokers', or the embedded one in the data directory, which must be there. */
export function openLog(config: Config, { clock, random, newUuid, onClientMessage }: OpenLogOptions): Log {
  if (!config.kafka) {
    return openSqliteLog({
      path: embeddedLogPath(config),
      clock,
      newUuid,
      owner: `the process with pid ${process.pid} on ${hostname()}`,
    });
  }
  const { brokers, tls, sasl } = config.kafka;
  return new KafkaLog({
    brokers,
    clientId: "order-processing",
    ...(tls ? { ssl: tls.ca === undefined ? true : { ca: [tls.ca] } } : {}),
    ...(sasl ? { sasl } : {}),
    session_timeout_ms: config.session_timeout_ms,
    backoff_ms_min: config.backoff_ms_min,
    backoff_ms_max: config.backoff_ms_max,
    clock,
    random,
    onClientMessage,
  });
}
