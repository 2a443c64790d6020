import { hostname } from "node:os";
import type { Clock } from "../system/clock.ts";
import type { Config } from "../config/config.ts";
import { unreachable } from "../errors.ts";
import type { NewUuid, Random } from "../system/random.ts";
import { KafkaLog } from "./kafka/kafka-log.ts";
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
  const { log } = config;
  switch (log.kind) {
    case "embedded":
      return openSqliteLog({
        path: log.path,
        clock,
        newUuid,
        owner: `the process with pid ${process.pid} on ${hostname()}`,
      });
    case "kafka":
      return new KafkaLog({
        brokers: log.brokers,
        clientId: "order-processing",
        ...(log.tls ? { ssl: log.tls.ca === undefined ? true : { ca: [log.tls.ca] } } : {}),
        ...(log.sasl ? { sasl: log.sasl } : {}),
        session_timeout_ms: config.session_timeout_ms,
        backoff_ms_min: config.backoff_ms_min,
        backoff_ms_max: config.backoff_ms_max,
        clock,
        random,
        onClientMessage,
      });
    default:
      return unreachable(log);
  }
}
