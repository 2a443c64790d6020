import { hostname } from "node:os";
import type { Clock } from "../system/clock.ts";
import type { Config } from "../config/config.ts";
import type { NewUuid, Random } from "../system/random.ts";
import { KafkaLog } from "./kafka/kafka-log.ts";
import { embeddedLogPath } from "./log-name.ts";
import type { Log } from "./port.ts";
import { openSqliteLog } from "./sqlite/sqlite-log.ts";

export interface OpenLogOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly newUuid: NewUuid;
  /** Receives kafkajs' own messages. */
  readonly onClientMessage: (message: string) => void;
}

/** Opens the log that the settings name: the brokers', or the embedded one in the data directory, which must exist. */
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
