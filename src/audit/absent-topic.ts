import type { Config } from "../config.ts";
import { AppError } from "../errors.ts";
import { logName } from "../log/open-log.ts";

/** Names the log too: who forgets KAFKA_BROKERS looks into another one. */
export function absentTopic(config: Pick<Config, "kafka" | "orders_topic" | "data_dir">): AppError {
  const why = config.kafka ? "" : ", which is used as KAFKA_BROKERS is not set";
  return new AppError(
    "CONFIG_INVALID",
    `There is no topic ${config.orders_topic} in the log, ${logName(config)}${why}: nothing was compared.`,
  );
}
