import type { Config } from "../config/config.ts";
import { logKinds } from "../log/log-kinds.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Tracing, TracingOptions } from "../telemetry/tracing.ts";

/** Makes a role's tracer, or undefined where no traces are to be sent. */
export type Tracers = (service: TracingOptions["service"]) => Tracing | undefined;

/** Loads OpenTelemetry only where traces are to be sent. `now_ms` is the wall clock, finer than a millisecond. */
export async function tracersFor(config: Config, logger: Logger, now_ms: () => number): Promise<Tracers> {
  const { traces, orders_topic: topic, consumer_group: group } = config;
  if (!traces) return () => undefined;
  const { Tracing } = await import("../telemetry/tracing.ts");
  const system = logKinds[config.log.kind].messagingSystem;
  const onWarning = (message: string) => logger.warn(message);
  return (service) => new Tracing({ ...traces, service, system, topic, group, now_ms, onWarning });
}
