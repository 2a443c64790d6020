import { join, resolve } from "node:path";
import { cartApp } from "./services/cart/app.ts";
import { RestartingCart } from "./services/cart/restarting-cart.ts";
import { CartService } from "./services/cart/service.ts";
import { systemClock, within } from "./system/clock.ts";
import { settingsHelp } from "./config/settings.ts";
import { type Config, readConfig } from "./config/config.ts";
import { readiness } from "./http/health.ts";
import { InFlight } from "./http/in-flight.ts";
import { type RunningService, serve } from "./http/serve.ts";
import type { Log } from "./log/port.ts";
import { logName } from "./log/log-name.ts";
import { openLog } from "./log/open-log.ts";
import { partitionFor } from "./log/partitioner.ts";
import { orderServiceApp } from "./services/orders/app.ts";
import { LiveSampler } from "./services/orders/live/live-sampler.ts";
import { heldUpdatesOf } from "./services/orders/query/queries.ts";
import { OrderService, REBUILD_ASKED } from "./services/orders/service.ts";
import type { CartHandle } from "./services/orders/page/try-endpoints.ts";
import { viewing } from "./services/orders/viewing.ts";
import { stateIn } from "./runtime/store/lost-logs.ts";
import type { HeldPartitions } from "./runtime/projection.ts";
import { StateDir } from "./runtime/store/state-dir.ts";
import {
  checkHost,
  checkOpenFiles,
  checkState,
  openToOthers,
  prepareDataDir,
  startFailure,
  writeForThisUserAlone,
} from "./system/before-start.ts";
import { createLogger, isTerminal, type Logger, writeToStdout } from "./telemetry/logger.ts";
import { Metrics } from "./telemetry/metrics.ts";
import { progressBar, type Standing, standingLine, StatusLine } from "./telemetry/status-line.ts";
import type { Tracing, TracingOptions } from "./telemetry/tracing.ts";

const ROLES = ["both", "producer", "consumer"] as const;
type Role = (typeof ROLES)[number];

/** An unexpected failure. */
const EXIT_FAILED = 1;
/** It could not begin: the command, a setting, or what a setting names. */
const EXIT_USAGE = 2;
const STATUS_WAIT_MS = 200;
const EVENT_LOOP_WAIT_MS = 100;
/** When stopping, for the receiver to take what is queued. */
const TRACES_WAIT_MS_MAX = 1_000;

const USAGE = `Usage: bun start [--help]        both services in one process
       bun run producer          the cart service alone
       bun run consumer          the order service alone

Exit 0: ended by SIGTERM or SIGINT. 1: an unexpected failure. 2: it could not begin; what to change is said.

${settingsHelp()}`;

const clock = systemClock;
const random = Math.random;
const newUuid = () => crypto.randomUUID();
const now_s = () => performance.now() / 1_000;

interface StartedRole {
  readonly what: string;
  readonly service: { stop(): Promise<void>; readonly partitions: HeldPartitions<unknown> };
  readonly http: RunningService;
  readonly metrics: Metrics;
  readonly tracer: Tracing | undefined;
  /** Its HTTP side, without the network. */
  readonly handle?: CartHandle;
  readonly standing?: () => Standing;
}

type Tracers = (service: TracingOptions["service"]) => Tracing | undefined;

/** OpenTelemetry is loaded only where traces are to be sent. */
async function tracersFor(config: Config, logger: Logger): Promise<Tracers> {
  const { traces, orders_topic: topic, consumer_group: group } = config;
  if (!traces) return () => undefined;
  const { Tracing } = await import("./telemetry/tracing.ts");
  const system = config.kafka ? "kafka" : "sqlite";
  const now_ms = () => performance.timeOrigin + performance.now();
  return (service) => new Tracing({ ...traces, service, system, topic, group, now_ms, tell: (message) => logger.warn(message) });
}

function startCart(config: Config, log: Log, logger: Logger, tracers: Tracers): StartedRole {
  const claimState = (logId: string) => StateDir.claim(config.data_dir, logId, "cart");
  const metrics = new Metrics("cart", now_s);
  const tracer = tracers("cart-service");
  const common = {
    config,
    log,
    claimState,
    stateOf: stateIn(config),
    logger,
    clock,
    random,
    newUuid,
    meter: metrics,
    appendMeter: metrics.appends(),
  };
  const service = new RestartingCart(
    (indexDamaged, damage) => new CartService({ ...common, indexDamaged, damage }),
    (message) => logger.error(message),
  );
  metrics.watch(() => service.partitions);
  const inFlight = new InFlight(config.in_flight_requests_max);
  const health = () => readiness(service.partitions, service.refusal);
  const app = cartApp({
    ...config,
    log_name: logName(config),
    commands: service.commands,
    health,
    inFlight,
    logger,
    metrics,
    tracer,
    clock,
  });
  return {
    what: "index",
    service,
    metrics,
    tracer,
    handle: (...asked) => app.handle(...asked),
    http: serve(app, { ...config, port: config.cart_port, portSetting: "CART_PORT", inFlight, clock }),
  };
}

interface OrderServiceParts {
  readonly tracers: Tracers;
  readonly cart: CartHandle | undefined;
}

function startOrderService(config: Config, log: Log, logger: Logger, { tracers, cart }: OrderServiceParts): StartedRole {
  const claimState = (logId: string) => StateDir.claim(config.data_dir, logId, "order-service");
  const metrics = new Metrics("order-service", now_s);
  const tracer = tracers("order-service");
  const sampler = new LiveSampler(clock);
  const { readable } = sampler;
  const stateOf = stateIn(config);
  const service = new OrderService({ config, log, claimState, stateOf, logger, clock, random, metrics, tracer, readable });
  metrics.watch(() => service.partitions, heldUpdatesOf);
  const inFlight = new InFlight(config.in_flight_requests_max);
  const partitionOf = (orderId: string, partitionCount: number) => partitionFor(config.partitioner, orderId, partitionCount);
  const { partitions } = service;
  const rebuild = (partition: number) => partitions.rebuild(partition, REBUILD_ASKED);
  const views = viewing({ config, log, partitions, sampler, cart, clock });
  const queries = { partitions, partitionOf, rebuild, cart, ...views };
  const app = orderServiceApp({ ...config, log_name: logName(config), ...queries, inFlight, logger, metrics, tracer, clock });
  const http = serve(app, { ...config, port: config.order_port, portSetting: "ORDER_PORT", inFlight, clock });
  const stop = () => {
    views.close();
    return http.stop();
  };
  return { what: "orders", service, metrics, tracer, http: { ...http, stop }, standing: views.standing };
}

function announce(config: Config, logger: Logger, cart: StartedRole | undefined, orders: StartedRole | undefined): void {
  const data = resolve(config.data_dir);
  if (cart) logger.info(`The cart service listens on ${cart.http.url}`);
  if (orders) logger.info(`The order service listens on ${orders.http.url}`);
  logger.info(`The log: ${logName(config)}; topic ${config.orders_topic}. The state: ${join(data, "state")}`);
  const example = cart
    ? `curl -X POST ${cart.http.url}/create-order -H 'content-type: application/json' -d '{"order_id":"123","number_of_items":3}'`
    : `curl '${orders?.http.url}/order-details?orderId=ORD-123'`;
  logger.info(`Try: ${example}`);
  if (orders) logger.info(`See it work: ${orders.http.url}/`);
}

/** At the foot of the terminal: how restores come on, else how many orders there are, how many events come in and how many wait. */
function showStatus(status: StatusLine, roles: readonly StartedRole[], orders: (() => Standing) | undefined): void {
  setInterval(() => {
    const bars = roles.flatMap(({ what, service }) => {
      const { restore } = service.partitions;
      if (!restore) return [];
      return [progressBar(what, restore.records, restore.records_total, restore.records_per_s, restore.left_s)];
    });
    status.show(bars.length > 0 || !orders ? bars.join("  ") : standingLine(orders()));
  }, STATUS_WAIT_MS).unref();
}

/** How late a timer runs is how long everything else waits, too. */
function watchEventLoop(roles: readonly StartedRole[]): void {
  let due_s = now_s() + EVENT_LOOP_WAIT_MS / 1_000;
  setInterval(() => {
    const at_s = now_s();
    for (const { metrics } of roles) metrics.eventLoopDelayed(Math.max(0, at_s - due_s));
    due_s = at_s + EVENT_LOOP_WAIT_MS / 1_000;
  }, EVENT_LOOP_WAIT_MS).unref();
}

async function main(args: readonly string[]): Promise<number | undefined> {
  const role = (args.find((arg) => !arg.startsWith("-")) ?? "both") as Role;
  if (args.includes("--help") || args.includes("-h")) {
    console.log(USAGE);
    return 0;
  }
  if (!ROLES.includes(role) || args.length > 1) {
    console.error(`There is no command ${args.join(" ")}.\n\n${USAGE}`);
    return EXIT_USAGE;
  }
  const config = readConfig(process.env);
  checkOpenFiles();
  await checkHost(config.host);
  prepareDataDir(config.data_dir);
  checkState(config.data_dir, config.kafka === undefined);
  const status = isTerminal() ? new StatusLine(writeToStdout, () => process.stdout.columns) : undefined;
  const write = status?.line ?? writeToStdout;
  const logger = createLogger({ level: config.log_level, format: config.log_format, secrets: config.secrets, write });
  // A defect must not leave half a service running: it is said, and the process ends. What was acknowledged is in the log.
  for (const failure of ["unhandledRejection", "uncaughtException"] as const) {
    process.on(failure, (e: unknown) => {
      logger.fatal({ err: e }, "unexpected failure");
      process.exit(EXIT_FAILED);
    });
  }
  for (const path of openToOthers(config.data_dir))
    logger.warn({ path }, "Other users of this machine can read what is in here: close it with chmod -R go= on that path.");
  const log = openLog(config, { clock, random, newUuid, onClientMessage: (message) => logger.debug(message) });
  const tracers = await tracersFor(config, logger);
  const cart = role === "consumer" ? undefined : startCart(config, log, logger.child({ component: "cart" }), tracers);
  const ofOrders = logger.child({ component: "order-service" });
  const orders = role === "producer" ? undefined : startOrderService(config, log, ofOrders, { tracers, cart: cart?.handle });
  const roles = [cart, orders].filter((started) => started !== undefined);
  watchEventLoop(roles);
  announce(config, logger, cart, orders);
  if (status) showStatus(status, roles, orders?.standing);

  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info(`${signal}: stopping`);
    const started_ms = clock.now_ms();
    const cut = await Promise.all(roles.map((started) => started.http.stop()));
    await Promise.all(roles.map((started) => started.service.stop()));
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
