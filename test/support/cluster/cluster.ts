import { mkdtemp, rm } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { findKafka, type Server, startServer } from "../brokers/kafka.ts";
import { freePorts } from "../brokers/ports.ts";
import { startTcpProxy, type TcpProxy } from "../brokers/tcp-proxy.ts";
import { waitUntil } from "../wait-until.ts";
import { ClusterAdmin } from "./admin.ts";

/** The user of the listener with login. It has only the rights that a test grants it. */
export const CLUSTER_USER = { name: "clara", password: "claras-password" };

const NODES = [1, 2, 3] as const;
const CONTROLLER = 100;
const ATTEMPTS_MAX = 3;
const heal_ms_max = 90_000;
const poll_ms = 100;
/** The time after which the controller considers a killed or paused broker gone. */
export const NOTICED_MS = 4_000;

/**
 * Three brokers and a controller, each a Java process of its own. New topics have three replicas unless they say
 * otherwise, and two must have a record before it is acknowledged.
 */
export interface Cluster {
  readonly nodes: readonly number[];
  /** `host:port,…`, as KAFKA_BROKERS takes it: the brokers themselves, which allow every client everything. */
  readonly brokers: string;
  /** The addresses of the proxies, one in front of each broker. */
  readonly proxied: string;
  readonly proxies: ReadonlyMap<number, TcpProxy>;
  /** The addresses of the listeners that want a login (PLAIN, no TLS), that of CLUSTER_USER. */
  readonly secured: string;
  /** The brokers by their IPv6 addresses; undefined where this machine has none. */
  readonly ipv6: string | undefined;
  readonly admin: ClusterAdmin;
  /** Sends SIGKILL and resolves when the broker is gone; the controller notices NOTICED_MS later. */
  kill(node: number): Promise<void>;
  /** Sends SIGTERM, on which the broker first hands over the partitions that it leads. */
  stop(node: number): Promise<void>;
  /** Starts a broker again with the same ports and data, and waits until it answers. */
  start(node: number): Promise<void>;
  /** Sends SIGSTOP: the process stands still. */
  pause(node: number): void;
  resume(node: number): void;
  /** Where the node keeps the records of a partition. */
  partitionDir(node: number, topic: string, partition: number): string;
  /** Waits until all brokers are there and all replicas of all topics are in sync. */
  inSync(): Promise<void>;
  /** Makes every node run and every proxy pass, and waits until all is in sync. */
  heal(): Promise<void>;
  dispose(): Promise<void>;
}

interface Ports {
  readonly plain: number;
  readonly proxyTarget: number;
  readonly proxy: number;
  readonly secured: number;
  readonly ipv6: number;
}

/** Starts a cluster, or says why there can be none here. */
export async function startCluster(): Promise<Cluster | { readonly unavailable: string }> {
  const jars = await findKafka();
  if ("unavailable" in jars) return jars;
  for (let attempt = 1; ; attempt++) {
    try {
      return await startNodes(jars.dir);
    } catch (e) {
      // Another program may take a free port before the node listens on it.
      if (attempt === ATTEMPTS_MAX) throw e;
    }
  }
}

async function startNodes(jarsDir: string): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const dirs = new Map<number, string>();
  for (const node of [CONTROLLER, ...NODES]) {
    const dir = await mkdtemp(join(tmpdir(), `order-processing-node-${node}-`));
    stack.defer(() => rm(dir, { recursive: true, force: true }));
    dirs.set(node, dir);
  }

  const [controllerPort, ...free] = (await freePorts(1 + 5 * NODES.length)) as [number, ...number[]];
  const ports = new Map<number, Ports>(
    NODES.map((node, i) => {
      const [plain, proxyTarget, proxy, secured, ipv6] = free.slice(5 * i) as [number, number, number, number, number];
      return [node, { plain, proxyTarget, proxy, secured, ipv6 }];
    }),
  );
  const proxies = new Map<number, TcpProxy>();
  for (const [node, { proxy, proxyTarget }] of ports) {
    const started = await startTcpProxy({ listenPort: proxy, targetPort: proxyTarget });
    stack.defer(() => started.close());
    proxies.set(node, started);
  }
  const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"));

  const start = async (node: number): Promise<readonly [number, Server]> => {
    const own = ports.get(node);
    const dir = dirs.get(node) as string;
    const server = await startServer(jarsDir, {
      dir,
      brokers: own && `127.0.0.1:${own.plain}`,
      properties:
        common(dir, controllerPort) + (own ? brokerProperties(node, own, hasIpv6) : controllerProperties(controllerPort)),
      java: [`-Xmx${own ? 400 : 200}m`, "-Xms64m", "-XX:TieredStopAtLevel=1"],
    });
    stack.defer(() => server.dispose());
    return [node, server];
  };
  // All at once: a broker waits for its controller.
  const begun = await Promise.allSettled([CONTROLLER, ...NODES].map(start));
  for (const one of begun) if (one.status === "rejected") throw one.reason;
  const servers = new Map(begun.flatMap((one) => (one.status === "fulfilled" ? [one.value] : [])));
  const owned = stack.move();
  return runningCluster({ dirs, ports, proxies, servers, hasIpv6, dispose: () => owned.disposeAsync() });
}

interface Parts {
  readonly dirs: ReadonlyMap<number, string>;
  readonly ports: ReadonlyMap<number, Ports>;
  readonly proxies: ReadonlyMap<number, TcpProxy>;
  readonly servers: ReadonlyMap<number, Server>;
  readonly hasIpv6: boolean;
  readonly dispose: () => Promise<void>;
}

function runningCluster({ dirs, ports, proxies, servers, hasIpv6, dispose }: Parts): Cluster {
  const addresses = (host: string, which: keyof Ports) => NODES.map((node) => `${host}:${ports.get(node)?.[which]}`).join();
  const paused = new Set<number>();
  const server = (node: number): Server => {
    const found = servers.get(node);
    if (!found) throw new Error(`There is no node ${node}.`);
    return found;
  };
  const direct = new Map([...ports].map(([node, { plain }]) => [node, `127.0.0.1:${plain}`]));
  const admin = new ClusterAdmin(direct, (node) => server(node).isRunning() && !paused.has(node));
  const resume = (node: number) => {
    paused.delete(node);
    server(node).signal("SIGCONT");
  };
  // A process that stands still hears no SIGTERM.
  const end = async (node: number, signal: NodeJS.Signals) => {
    resume(node);
    await server(node).end(signal);
  };
  const allInSync = async () => {
    if ((await admin.liveNodes()).length < NODES.length) return false;
    const all = [...(await admin.allTopics()).values()].flat();
    return all.every(({ leader, inSync, replicas }) => leader !== undefined && inSync.length === replicas.length);
  };
  const inSync = async () => {
    const bounds = { wait_ms_max: heal_ms_max, interval_ms: poll_ms };
    await waitUntil("for all replicas to be in sync", () => allInSync().catch(() => false), bounds);
  };
  return {
    nodes: NODES,
    brokers: addresses("127.0.0.1", "plain"),
    proxied: addresses("127.0.0.1", "proxy"),
    proxies,
    secured: addresses("127.0.0.1", "secured"),
    ipv6: hasIpv6 ? addresses("[::1]", "ipv6") : undefined,
    admin,
    kill: (node) => end(node, "SIGKILL"),
    stop: (node) => end(node, "SIGTERM"),
    start: (node) => server(node).start(),
    pause: (node) => {
      paused.add(node);
      server(node).signal("SIGSTOP");
    },
    resume,
    partitionDir: (node, topic, partition) => join(dirs.get(node) as string, "data", `${topic}-${partition}`),
    inSync,
    heal: async () => {
      for (const proxy of proxies.values()) proxy.pass();
      NODES.forEach(resume);
      await Promise.all(NODES.map((node) => server(node).start()));
      await inSync();
    },
    dispose: async () => {
      NODES.forEach(resume);
      await admin.close();
      await dispose();
    },
  };
}

const common = (dir: string, controllerPort: number): string => `
controller.quorum.voters=${CONTROLLER}@127.0.0.1:${controllerPort}
controller.listener.names=CONTROLLER
log.dirs=${join(dir, "data")}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
broker.session.timeout.ms=${NOTICED_MS}
broker.heartbeat.interval.ms=500
`;

const controllerProperties = (port: number): string => `
process.roles=controller
node.id=${CONTROLLER}
listeners=CONTROLLER://127.0.0.1:${port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT
`;

function brokerProperties(node: number, { plain, proxyTarget, proxy, secured, ipv6 }: Ports, hasIpv6: boolean): string {
  const listeners = [`PLAINTEXT://127.0.0.1:${plain}`, `PROXIED://127.0.0.1:${proxyTarget}`, `SECURED://127.0.0.1:${secured}`];
  const advertised = [`PLAINTEXT://127.0.0.1:${plain}`, `PROXIED://127.0.0.1:${proxy}`, `SECURED://127.0.0.1:${secured}`];
  const ipv6Listeners = hasIpv6 ? [`IPV6://[::1]:${ipv6}`] : [];
  const { name, password } = CLUSTER_USER;
  return `
process.roles=broker
node.id=${node}
listeners=${[...listeners, ...ipv6Listeners].join()}
advertised.listeners=${[...advertised, ...ipv6Listeners].join()}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,SECURED:SASL_PLAINTEXT,IPV6:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
listener.name.secured.sasl.enabled.mechanisms=PLAIN
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_${name}="${password}";
num.network.threads=2
num.io.threads=4
replica.lag.time.max.ms=6000
offsets.topic.num.partitions=3
transaction.state.log.num.partitions=3
transaction.state.log.min.isr=2
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=20971520
`;
}
