import { join, resolve } from "node:path";
import { systemClock, within } from "./system/clock.ts";
import { cartRole } from "./compose/cart.ts";
import { orderServiceRole } from "./compose/order-service.ts";
import type { Role } from "./compose/role.ts";
import { type Tracers, tracersFor } from "./compose/tracers.ts";
import { settingsHelp } from "./config/help.ts";
import { type Config, readConfig } from "./config/config.ts";
import type { HttpApp } from "./http/app.ts";
import type { HttpServer } from "./http/serve.ts";
import type { Log } from "./log/port.ts";
import { logFiles, logName } from "./log/log-kinds.ts";
import { openLog } from "./log/open-log.ts";
import { stateIn } from "./runtime/store/lost-logs.ts";
import { StateDir } from "./runtime/store/state-dir.ts";
import {
  checkHost,
  checkOpenFiles,
  checkState,
  openToOthers,
  prepareDataDir,
  startFailure,
  writeForThisUserAlone,
} from "./system/startup-checks.ts";
import { createLogger, isTerminal, type Logger, writeToStdout } from "./telemetry/logger.ts";
import { figuresLine, progressBar, StatusLine } from "./telemetry/status-line.ts";
import type { Tracing } from "./telemetry/tracing.ts";

const ROLES = ["both", "producer", "consumer"] as const;
type RoleName = (typeof ROLES)[number];

/** An unexpected failure. */
const EXIT_FAILED = 1;
/** The program could not begin because of the command, a setting, or what a setting names. */
const EXIT_USAGE = 2;
const STATUS_WAIT_MS = 200;
const EVENT_LOOP_WAIT_MS = 100;
/** The longest wait at the end for the receiver to take the queued traces. */
const TRACES_WAIT_MS_MAX = 1_000;

const USAGE = `Usage: bun start [--help]        both services in one process
       bun run producer          the cart service alone
       bun run consumer          the order service alone

Exit 0: ended by SIGTERM or SIGINT. 1: an unexpected failure. 2: the program could not begin, and says what to change.

${settingsHelp()}`;

const clock = systemClock;
const random = Math.random;
const newUuid = () => crypto.randomUUID();
const now_s = () => performance.now() / 1_000;

/** A role whose server listens. */
interface ListeningRole {
  readonly what: "index" | "orders";
  readonly role: Role;
  readonly server: HttpServer;
  readonly tracer: Tracing | undefined;
}

interface Surroundings {
  readonly config: Config;
  readonly log: Log;
  readonly logger: Logger;
  readonly tracers: Tracers;
}

/** The options that both roles share. `name` appears in log lines and in the path of the state. */
function commonOptions({ config, log, logger, tracers }: Surroundings, name: "cart" | "order-service") {
  return {
    config,
    log,
    claimState: (logId: string) => StateDir.claim(config.data_dir, logId, name),
    stateOf: stateIn(config),
    logger: logger.child({ component: name }),
    clock,
    random,
    now_s,
    tracer: tracers(name === "cart" ? "cart-service" : name),
  };
}

function makeCart(surroundings: Surroundings): ListeningRole {
  const options = commonOptions(surroundings, "cart");
  const role = cartRole({ ...options, newUuid });
  return { what: "index", role, server: role.listen(), tracer: options.tracer };
}

function makeOrderService(surroundings: Surroundings, cart: Role | undefined): ListeningRole {
  const options = commonOptions(surroundings, "order-service");
  const handle: HttpApp["handle"] | undefined = cart && ((...asked) => cart.app.handle(...asked));
  const role = orderServiceRole({ ...options, cart: handle });
  return { what: "orders", role, server: role.listen(), tracer: options.tracer };
}

function announce(config: Config, logger: Logger, cart: HttpServer | undefined, orders: HttpServer | undefined): void {
  const data = resolve(config.data_dir);
  if (cart) logger.info(`The cart service listens on ${cart.url}`);
  if (orders) logger.info(`The order service listens on ${orders.url}`);
  logger.info(`The log: ${logName(config.log)}; topic ${config.orders_topic}. The state: ${join(data, "state")}`);
  const example = cart
    ? `curl -X POST ${cart.url}/create-order -H 'content-type: application/json' -d '{"order_id":"123","number_of_items":3}'`
    : `curl '${orders?.url}/order-details?orderId=ORD-123'`;
  logger.info(`Try: ${example}`);
  if (orders) logger.info(`See it work: ${orders.url}/`);
}

/** Keeps the status line up to date: the progress of restores, else the orders, the event rate and the lag. */
function showStatus(status: StatusLine, roles: readonly ListeningRole[]): void {
  const figures = roles.find(({ role }) => role.orderFigures)?.role.orderFigures;
  setInterval(() => {
    const bars = roles.flatMap(({ what, role }) => {
      const { restore } = role.service.partitions;
      if (!restore) return [];
      return [progressBar(what, restore.records, restore.records_total, restore.records_per_s, restore.left_s)];
    });
    status.show(bars.length > 0 || !figures ? bars.join("  ") : figuresLine(figures()));
  }, STATUS_WAIT_MS).unref();
}

/** Measures how late a timer runs, which is how long everything else waits, too. */
function watchEventLoop(roles: readonly ListeningRole[]): void {
  let due_s = now_s() + EVENT_LOOP_WAIT_MS / 1_000;
  setInterval(() => {
    const at_s = now_s();
    for (const { role } of roles) role.metrics?.eventLoopDelayed(Math.max(0, at_s - due_s));
    due_s = at_s + EVENT_LOOP_WAIT_MS / 1_000;
  }, EVENT_LOOP_WAIT_MS).unref();
}

async function main(args: readonly string[]): Promise<number | undefined> {
  const name = (args.find((arg) => !arg.startsWith("-")) ?? "both") as RoleName;
  if (args.includes("--help") || args.includes("-h")) {
    console.log(USAGE);
    return 0;
  }
  if (!ROLES.includes(name) || args.length > 1) {
    console.error(`There is no command ${args.join(" ")}.\n\n${USAGE}`);
    return EXIT_USAGE;
  }
  const config = readConfig(process.env);
  checkOpenFiles();
  await checkHost(config.host);
  prepareDataDir(config.data_dir);
  checkState(config.data_dir, logFiles(config.log));
  const status = isTerminal() ? new StatusLine(writeToStdout, () => process.stdout.columns) : undefined;
  const write = status?.line ?? writeToStdout;
  const logger = createLogger({ level: config.log_level, format: config.log_format, secrets: config.secrets, write });
  // A defect must not leave half a service running: it is logged and the process ends. What was acknowledged is in the
  // log.
  for (const failure of ["unhandledRejection", "uncaughtException"] as const) {
    process.on(failure, (e: unknown) => {
      logger.fatal({ err: e }, "unexpected failure");
      process.exit(EXIT_FAILED);
    });
  }
  for (const path of openToOthers(config.data_dir))
    logger.warn({ path }, "Other users of this machine can read what is in here: close it with chmod -R go= on that path.");
  const log = openLog(config, { clock, random, newUuid, onClientMessage: (message) => logger.debug(message) });
  const tracers = await tracersFor(config, logger, () => performance.timeOrigin + performance.now());
  const surroundings = { config, log, logger, tracers };
  const cart = name === "consumer" ? undefined : makeCart(surroundings);
  const orders = name === "producer" ? undefined : makeOrderService(surroundings, cart?.role);
  const roles = [cart, orders].filter((made) => made !== undefined);
  for (const { role } of roles) role.start();
  watchEventLoop(roles);
  announce(config, logger, cart?.server, orders?.server);
  if (status) showStatus(status, roles);

  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info(`${signal}: stopping`);
    const started_ms = clock.now_ms();
    const cut = await Promise.all(roles.map(({ server }) => server.stop()));
    await Promise.all(roles.map(({ role }) => role.stop()));
    await log.close();
    await within(clock, TRACES_WAIT_MS_MAX, Promise.all(roles.map(async ({ tracer }) => tracer?.stop())));
    logger.info({ requests_cut: cut.reduce((sum, n) => sum + n, 0), took_ms: clock.now_ms() - started_ms }, "stopped");
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop(signal));
  return undefined;
}

writeForThisUserAlone();
try {
  const code = await main(process.argv.slice(2));
  if (code !== undefined) process.exit(code);
} catch (e) {
  console.error(startFailure(e));
  process.exit(EXIT_USAGE);
}
