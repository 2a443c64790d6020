import { readiness } from "../http/health.ts";
import { InFlight } from "../http/in-flight.ts";
import { logName } from "../log/log-kinds.ts";
import { cartApp } from "../services/cart/app.ts";
import { RestartingCart } from "../services/cart/restarting-cart.ts";
import { CartService } from "../services/cart/service.ts";
import type { NewUuid } from "../system/random.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { Role, type RoleOptions } from "./role.ts";

export interface CartRoleOptions extends RoleOptions {
  readonly newUuid: NewUuid;
  /** Called with the reason when the index is damaged, before the service restarts. */
  readonly onIndexDamaged?: (reason: string) => void;
}

/** Makes the cart service's role and does not start it. */
export function cartRole(options: CartRoleOptions): Role<RestartingCart> {
  const { config, logger, clock, tracer, now_s } = options;
  const metrics = now_s && new Metrics("cart", now_s);
  const appendMeter = metrics?.appends();
  const service = new RestartingCart(
    (restart, damage) => {
      const onIndexDamaged = (reason: string) => {
        options.onIndexDamaged?.(reason);
        restart(reason);
      };
      return new CartService({ ...options, meter: metrics, appendMeter, onIndexDamaged, damage });
    },
    (message) => logger.error(message),
  );
  metrics?.watch(() => service.partitions);
  const inFlight = new InFlight(config.in_flight_requests_max);
  const makeApp = () =>
    cartApp({
      ...config,
      log_name: logName(config.log),
      commands: service.commands,
      health: () => readiness(service.partitions, service.refusal),
      inFlight,
      logger,
      metrics,
      tracer,
      clock,
    });
  const serveOptions = { ...config, port: config.cart_port, portSetting: "CART_PORT", clock } as const;
  return new Role({ service, metrics, inFlight, makeApp, serveOptions });
}
