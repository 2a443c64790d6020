import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { openStorage } from "./storage/open-storage.ts";
import { systemClock, within } from "./system/clock.ts";
import type { PeerOptions } from "./compose/peers.ts";
import type { Role } from "./compose/role.ts";
import { type Tracers, tracersFor } from "./compose/tracers.ts";
import { localUrl } from "./config/addresses.ts";
import { settingsHelp } from "./config/help.ts";
import { type Config, readConfig } from "./config/config.ts";
import { httpTransport } from "./fleet/peer-transport.ts";
import type { HttpApp } from "./http/app.ts";
import { type HttpServer, urlOf } from "./http/serve.ts";
import type { Log } from "./log/port.ts";
import { logFiles, logName } from "./log/log-kinds.ts";
import { Member } from "./members/member.ts";
import { memberCount } from "./members/member-count.ts";
import { memberIn } from "./members/member-process.ts";
import { runMembers, STOP_MARGIN_MS } from "./members/run-members.ts";
import { SERVICES } from "./members/messages.ts";
import { askMember, supervisorChannel } from "./members/supervisor-channel.ts";
import { stateIn } from "./runtime/store/lost-logs.ts";
import type { Projections } from "./runtime/projections.ts";
import { zstd } from "./runtime/snapshots/compression.ts";
import { StateDir } from "./runtime/store/state-dir.ts";
import { EXIT_FAILED, EXIT_USAGE } from "./system/exit-code.ts";
import { isOutOfMemory, OUT_OF_MEMORY } from "./system/out-of-memory.ts";
import {
  checkHost,
  checkOpenFiles,
  checkState,
  openToOthers,
  PEER_TOKEN,
  prepareDataDir,
  startFailure,
  writeForThisUserAlone,
} from "./system/startup-checks.ts";
import { otherMachinesKnow } from "./system/addresses.ts";
import { ownSecret } from "./system/secrets.ts";
import { createLogger, isTerminal, type Logger, writeToStdout } from "./telemetry/logger.ts";
import { figuresLine, progressBar, StatusLine } from "./telemetry/status-line.ts";
import type { Tracing } from "./telemetry/tracing.ts";

const ROLES = { both: ["cart", "order-service"], producer: ["cart"], consumer: ["order-service"] } as const;
type RoleName = keyof typeof ROLES;

const SECRET_BYTES = 32;
const STATUS_WAIT_MS = 200;
const EVENT_LOOP_WAIT_MS = 100;
/** The longest wait at the end for the receiver to take the queued traces. */
const TRACES_WAIT_MS_MAX = 1_000;

const USAGE = `Usage: bun start [--help]        both services in one process, or in each of MEMBERS processes
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

interface Roles {
  readonly cart: ListeningRole | undefined;
  readonly orders: ListeningRole | undefined;
}

interface Surroundings {
  readonly config: Config;
  readonly log: Log;
  readonly logger: Logger;
  readonly tracers: Tracers;
  readonly member: Member | undefined;
}

/** How the members of a group ask each other. */
const peerOptions = (secret: string): PeerOptions => ({
  secret,
  transport: httpTransport(process.env),
  addresses: otherMachinesKnow(),
});

/** The options that both roles share. `name` appears in log lines and in the path of the state. */
function commonOptions({ config, log, logger, tracers, member }: Surroundings, name: "cart" | "order-service") {
  return {
    config,
    log,
    claimState: (logId: string, projections?: Projections) =>
      StateDir.claim(config.data_dir, logId, name, { newUuid, projections, now_ms: () => clock.now_ms() }),
    stateOf: stateIn(config),
    snapshots: config.snapshot_storage && {
      storage: openStorage(config.snapshot_storage, { clock, newUuid }),
      compression: zstd,
    },
    logger: logger.child({ component: name }),
    clock,
    random,
    now_s,
    member,
    tracer: tracers(name === "cart" ? "cart-service" : name),
  };
}

/** The embedded log's carts are on one machine, and each has all of the index. */
const sharesIndex = ({ log, index_replicas }: Config): boolean => log.kind === "kafka" && index_replicas > 0;

async function makeCart(surroundings: Surroundings, peers: PeerOptions, isBesideOrders: boolean): Promise<ListeningRole> {
  const { cartRole } = await import("./compose/cart.ts");
  const { config } = surroundings;
  const options = commonOptions(surroundings, "cart");
  const role = cartRole({ ...options, newUuid, isBesideOrders, ...(sharesIndex(config) && { peers }) });
  return { what: "index", role, server: role.listen(), tracer: options.tracer };
}

async function makeOrderService(surroundings: Surroundings, cart: Role | undefined, peers: PeerOptions): Promise<ListeningRole> {
  const { orderServiceRole } = await import("./compose/order-service.ts");
  const options = commonOptions(surroundings, "order-service");
  const handle: HttpApp["handle"] | undefined = cart && ((...asked) => cart.app.handle(...asked));
  const role = orderServiceRole({ ...options, cart: handle, peers });
  return { what: "orders", role, server: role.listen(), tracer: options.tracer };
}

/** The services' URLs. */
interface Urls {
  readonly cart: string | undefined;
  readonly orders: string | undefined;
}

function announce(config: Config, logger: Logger, { cart, orders }: Urls): void {
  const data = resolve(config.data_dir);
  if (cart !== undefined) logger.info(`The cart service listens on ${cart}`);
  if (orders !== undefined) logger.info(`The order service listens on ${orders}`);
  logger.info(`The log: ${logName(config.log)}; topic ${config.orders_topic}. The state: ${join(data, "state")}`);
  const example = cart
    ? `curl -X POST ${cart}/create-order -H 'content-type: application/json' -d '{"order_id":"123","number_of_items":3}'`
    : `curl '${orders}/order-details?orderId=ORD-123'`;
  logger.info(`Try: ${example}`);
  if (orders !== undefined) logger.info(`See it work: ${orders}/`);
}

/** Makes this process the supervisor of members, in each of which it runs again. Resolves with the exit code. */
async function supervise(config: Config, root: Logger, name: RoleName, members: number): Promise<number> {
  const logger = root.child({ component: "supervisor" });
  const command = [process.execPath, ...process.execArgv, import.meta.path, name];
  const services = ROLES[name];
  const { supervisor, ports } = runMembers({
    config,
    members,
    services,
    command,
    env: process.env,
    clock,
    random,
    logger,
  });
  const url = (port: number | undefined) => (port === undefined ? undefined : urlOf(config.host, port));
  announce(config, logger, { cart: url(ports.get("cart")), orders: url(ports.get("order-service")) });
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => {
      logger.info(`${signal}: stopping ${members} members`);
      supervisor.stop();
    });
  return supervisor.ended;
}

/** Tells the supervisor where this member answers, and has each service listen on its shared port when it may. */
function joinMembers(member: Member, config: Config, logger: Logger, { cart, orders }: Roles): void {
  const made = { cart, "order-service": orders };
  const urls = Object.entries(made).flatMap(([name, one]) =>
    one ? [[name, localUrl(config.host, one.server.port)] as const] : [],
  );
  logger.info({ urls: Object.fromEntries(urls) }, `Member ${member.member} listens on ports of its own`);
  member.listening(Object.fromEntries(urls));
  for (const name of SERVICES) {
    const role = made[name]?.role;
    if (!role) continue;
    const share = member.share(name, { isReady: () => role.isReady, share: () => role.share() });
    share.catch((e: unknown) => {
      console.error(startFailure(e));
      process.exit(EXIT_USAGE);
    });
  }
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
  const number = memberIn(args[1] ?? "");
  if (args.includes("--help") || args.includes("-h")) {
    console.log(USAGE);
    return 0;
  }
  if (!Object.hasOwn(ROLES, name) || args.length > (number === undefined ? 1 : 2)) {
    console.error(`There is no command ${args.join(" ")}.\n\n${USAGE}`);
    return EXIT_USAGE;
  }
  const config = readConfig(process.env);
  const members = memberCount(config.members, availableParallelism(), process.platform);
  checkOpenFiles();
  await checkHost(config.host);
  prepareDataDir(config.data_dir);
  checkState(config.data_dir, logFiles(config.log));
  const status =
    isTerminal() && number === undefined && members === 1
      ? new StatusLine(writeToStdout, () => process.stdout.columns)
      : undefined;
  const write = status?.line ?? writeToStdout;
  const asksPeers = name !== "producer" || sharesIndex(config);
  const peerSecret = asksPeers
    ? (config.peer_token_file ?? ownSecret(join(config.data_dir, PEER_TOKEN), randomBytes(SECRET_BYTES)))
    : "";
  const secrets = [...config.secrets, peerSecret];
  const root = createLogger({ level: config.log_level, format: config.log_format, secrets, write });
  const logger = number === undefined ? root : root.child({ member: number });
  // A defect must not leave half a service running: it is logged and the process ends. What was acknowledged is in the
  // log.
  for (const failure of ["unhandledRejection", "uncaughtException"] as const) {
    process.on(failure, (e: unknown) => {
      logger.fatal({ err: e }, isOutOfMemory(e) ? OUT_OF_MEMORY : "unexpected failure");
      process.exit(EXIT_FAILED);
    });
  }
  for (const path of openToOthers(config.data_dir))
    logger.warn({ path }, "Other users of this machine can read what is in here: close it with chmod -R go= on that path.");
  if (members > 1) return supervise(config, logger, name, members);
  const channel = number === undefined ? undefined : supervisorChannel();
  const member = channel && new Member({ member: number!, port_min: config.member_port_min, channel, ask: askMember, clock });
  const { openLog } = await import("./log/open-log.ts");
  const log = openLog(config, { clock, random, newUuid, onClientMessage: (message) => logger.debug(message) });
  const tracers = await tracersFor(config, logger, () => performance.timeOrigin + performance.now());
  const surroundings = { config, log, logger, tracers, member };
  const peers = peerOptions(peerSecret);
  const cart = name === "consumer" ? undefined : await makeCart(surroundings, peers, name === "both");
  const orders = name === "producer" ? undefined : await makeOrderService(surroundings, cart?.role, peers);
  const roles = [cart, orders].filter((made) => made !== undefined);
  for (const { role } of roles) role.start();
  watchEventLoop(roles);
  if (member) joinMembers(member, config, logger, { cart, orders });
  else announce(config, logger, { cart: cart?.server.url, orders: orders?.server.url });
  if (status) showStatus(status, roles);

  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info(`${signal}: stopping`);
    member?.stop();
    const started_ms = clock.now_ms();
    await Promise.all(roles.map(({ role }) => role.handOver()));
    const cut = await Promise.all(roles.map(({ server }) => server.stop()));
    await Promise.all(roles.map(({ role }) => role.stop()));
    await log.close();
    await within(clock, TRACES_WAIT_MS_MAX, Promise.all(roles.map(async ({ tracer }) => tracer?.stop())));
    logger.info({ requests_cut: cut.reduce((sum, n) => sum + n, 0), took_ms: clock.now_ms() - started_ms }, "stopped");
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop(signal));
  // Nobody would start this member again, or end it.
  channel?.onGone(() => {
    void stop("The supervisor is gone");
    void clock.sleep(config.shutdown_wait_ms_max + STOP_MARGIN_MS).then(() => process.exit(EXIT_FAILED));
  });
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
