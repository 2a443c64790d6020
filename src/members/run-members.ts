import type { Config } from "../config/config.ts";
import { freePorts } from "../http/serve.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import type { Logger } from "../telemetry/logger.ts";
import { checkMemberPorts } from "./member-count.ts";
import { memberStarter } from "./member-process.ts";
import type { ServiceName } from "./messages.ts";
import { Supervisor } from "./supervisor.ts";

export interface MembersOptions {
  readonly config: Config;
  readonly members: number;
  readonly services: readonly ServiceName[];
  /** The command of one process, to which the number of a member is added. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The settings that name the shared ports. */
const PORT_SETTINGS = { cart: "CART_PORT", "order-service": "ORDER_PORT" } as const satisfies Record<ServiceName, string>;

/** What a member has to do before and after its requests are answered, before it is killed. */
export const STOP_MARGIN_MS = 13_000;

/**
 * Starts the members of these services. Throws CONFIG_INVALID if they could not listen. Returns the supervisor, and the
 * ports that all members share.
 */
export function runMembers(options: MembersOptions): { supervisor: Supervisor; ports: ReadonlyMap<ServiceName, number> } {
  const { config, members, services, command, env } = options;
  const wanted = { cart: config.cart_port, "order-service": config.order_port } satisfies Record<ServiceName, number>;
  checkMemberPorts(config.member_port_min, members, sharedPorts(services, wanted));
  const free = freePorts(
    config.host,
    services.map((service) => ({ port: wanted[service], portSetting: PORT_SETTINGS[service] })),
  );
  const ports = new Map(services.map((service, at) => [service, free[at]!]));
  const portsSet = Object.fromEntries([...ports].map(([service, port]) => [PORT_SETTINGS[service], String(port)]));
  const startMember = memberStarter(command, { ...env, ...portsSet, MEMBERS: undefined });
  const stop_wait_ms_max = config.shutdown_wait_ms_max + STOP_MARGIN_MS;
  const supervisor = new Supervisor({ ...options, startMember, stop_wait_ms_max });
  supervisor.start();
  return { supervisor, ports };
}

const sharedPorts = (services: readonly ServiceName[], ports: Readonly<Record<ServiceName, number>>): Record<string, number> =>
  Object.fromEntries(services.map((service) => [PORT_SETTINGS[service], ports[service]]));
