import type { Config } from "../../config/config.ts";
import { AppError } from "../../errors.ts";
import { logName } from "../../log/log-name.ts";

export const absentTopic = (config: Pick<Config, "kafka" | "orders_topic" | "data_dir">): AppError =>
  new AppError(
    "CONFIG_INVALID",
    `There is no topic ${config.orders_topic} in the log (${logName(config)}): nothing was compared.`,
  );
