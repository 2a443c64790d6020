import { resolve } from "node:path";
import type { Config } from "../config.ts";
import { AppError } from "../errors.ts";
import { embeddedLogPath } from "../log/open-log.ts";

/** Names the log too: who forgets KAFKA_BROKERS looks into another one. */
export function absentTopic({ kafka, orders_topic, data_dir }: Pick<Config, "kafka" | "orders_topic" | "data_dir">): AppError {
  const where = kafka
    ? `on the brokers ${kafka.brokers.join(",")}`
    : `in the embedded log ${resolve(embeddedLogPath({ data_dir }))}, which is used as KAFKA_BROKERS is not set`;
  return new AppError("CONFIG_INVALID", `There is no topic ${orders_topic} ${where}: nothing was compared.`);
}
