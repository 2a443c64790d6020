import { join, resolve } from "node:path";
import type { Config } from "../config/config.ts";

/** The path of the embedded log, which is used while KAFKA_BROKERS is not set. */
export const embeddedLogPath = ({ data_dir }: Pick<Config, "data_dir">): string => join(data_dir, "log.sqlite");

/** Says to people which log it is, and why: somebody who forgets KAFKA_BROKERS looks into another log. */
export const logName = ({ kafka, data_dir }: Pick<Config, "kafka" | "data_dir">): string =>
  kafka
    ? `Kafka at ${kafka.brokers.join(",")}`
    : `embedded in ${resolve(embeddedLogPath({ data_dir }))}, as KAFKA_BROKERS is not set`;

/** The id of an embedded log is a UUID (RFC 9562); that of a cluster is not. */
export const isEmbeddedLogId = (logId: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(logId);
