import { join, resolve } from "node:path";
import type { Config } from "../config/config.ts";

/** Where the embedded log is, while KAFKA_BROKERS is not set. */
export const embeddedLogPath = ({ data_dir }: Pick<Config, "data_dir">): string => join(data_dir, "log.sqlite");

/** Which log it is, and why, for people: who forgets KAFKA_BROKERS looks into another one. */
export const logName = ({ kafka, data_dir }: Pick<Config, "kafka" | "data_dir">): string =>
  kafka
    ? `Kafka at ${kafka.brokers.join(",")}`
    : `embedded in ${resolve(embeddedLogPath({ data_dir }))}, as KAFKA_BROKERS is not set`;

/** Its id is a UUID (RFC 9562); a cluster's is another text. */
export const isEmbeddedLogId = (logId: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(logId);
