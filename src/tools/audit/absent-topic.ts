import type { Config } from "../../config/config.ts";
import { AppError } from "../../errors.ts";
import { logName } from "../../log/log-kinds.ts";

export const absentTopic = (config: Pick<Config, "log" | "orders_topic">): AppError =>
  new AppError(
    "CONFIG_INVALID",
    `There is no topic ${config.orders_topic} in the log (${logName(config.log)}): nothing was compared.`,
  );
