import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { Attempt } from "./broker.ts";
import { brokerAnswers } from "./broker-probe.ts";
import { freePorts } from "./ports.ts";
import { runBounded, spawnTied, type TiedProcess } from "../programs/tied-process.ts";
import { waitUntil } from "../wait-until.ts";

const kafkaVersion = "4.3.1";
const java_major_min = 17;
const answer_ms_max = 5_000;
const fetch_ms_max = 300_000;
const format_ms_max = 60_000;
const start_ms_max = 60_000;
const stop_ms_max = 20_000;

/** Starts Apache Kafka, broker and controller in one process, from Maven Central's jars. */
export async function startKafka(): Promise<Attempt> {
  const jars = await findKafka();
  if ("unavailable" in jars) return jars;

  const dir = await mkdtemp(join(tmpdir(), "order-processing-kafka-"));
  const [port, controllerPort, listenPort, advertisedPort] = (await freePorts(4)) as [number, number, number, number];
  const properties = serverProperties({ dir, port, controllerPort, listenPort, advertisedPort });
  const brokers = `127.0.0.1:${port}`;
  const { start, end, dispose } = await startServer(jars.dir, { dir, brokers, properties });
  return {
    broker: {
      brokers,
      kind: "kafka",
      canRestart: true,
      proxied: { listenPort, advertisedPort },
      kill: () => end("SIGKILL"),
      stop: () => end("SIGTERM"),
      start,
    },
    dispose,
  };
}

/** Where Kafka's jars are, or why Kafka cannot be run here. */
export async function findKafka(): Promise<{ readonly dir: string } | { readonly unavailable: string }> {
  const java = await runBounded(["java", "-version"], answer_ms_max);
  const major = Number(/version "(\d+)/.exec(java.output)?.[1] ?? 0);
  if (major < java_major_min) return { unavailable: `Java ${java_major_min} or later is not installed.` };
  return fetchJars();
}

interface ServerOptions {
  /** The directory of all this server's files; it is removed when the server is disposed of. */
  readonly dir: string;
  /**
   * The addresses to ask whether Kafka has started, without TLS and login; undefined for a controller, which nobody
   * asks.
   */
  readonly brokers: string | undefined;
  /** The text of server.properties. */
  readonly properties: string;
  /** Further arguments for StorageTool's `format`. */
  readonly formatArgs?: readonly string[];
  /** Java's own options. */
  readonly java?: readonly string[];
}

export interface Server {
  /** Starts the server again if it was ended. */
  readonly start: () => Promise<void>;
  readonly end: (signal: NodeJS.Signals) => Promise<void>;
  /** Sends the server a signal that does not end it. */
  readonly signal: (signal: "SIGSTOP" | "SIGCONT") => void;
  readonly isRunning: () => boolean;
  readonly dispose: () => Promise<void>;
}

/** Formats the storage and starts the server. If that fails, nothing is left of it. */
export async function startServer(
  jarsDir: string,
  { dir, brokers, properties, formatArgs = [], java = ["-Xmx512m", "-Xms256m"] }: ServerOptions,
): Promise<Server> {
  const propertiesFile = join(dir, "server.properties");
  await writeFile(propertiesFile, properties);
  await writeFile(join(dir, "log4j2.properties"), log4j);
  const runJava = (mainClass: string, ...args: string[]) => [
    "java",
    ...java,
    "-XX:+UseSerialGC",
    `-Dlog4j2.configurationFile=${join(dir, "log4j2.properties")}`,
    "-cp",
    join(jarsDir, "*"),
    mainClass,
    ...args,
  ];
  let server: TiedProcess | undefined;
  const sendSignal: Server["signal"] = (name) => server?.kill(name);
  const isRunning = () => server !== undefined && server.exit() === undefined;

  const start = async () => {
    if (isRunning()) return;
    // If the run is killed, the data goes with the broker.
    const starting = spawnTied(runJava("kafka.Kafka", propertiesFile), { onOrphaned: 'rm -rf "$1"', onOrphanedArgs: [dir] });
    server = starting;
    if (brokers === undefined) return;
    await waitUntil(
      () => `for Kafka to start on ${brokers}. It said:\n${starting.output()}`,
      async () => {
        if (starting.exit() !== undefined) throw new Error(`Kafka ended while starting. It said:\n${starting.output()}`);
        return brokerAnswers(brokers);
      },
      { wait_ms_max: start_ms_max, interval_ms: 50 },
    );
  };
  const end = async (signal: NodeJS.Signals) => {
    if (!server) return;
    const ending = server;
    ending.kill(signal);
    const timer = setTimeout(() => ending.kill("SIGKILL"), stop_ms_max);
    await ending.exited;
    clearTimeout(timer);
  };
  const dispose = async () => {
    await end("SIGKILL");
    await rm(dir, { recursive: true, force: true });
  };

  try {
    const format = ["format", "-t", clusterId, "-c", propertiesFile, ...formatArgs];
    const formatted = await runBounded(runJava("kafka.tools.StorageTool", ...format), format_ms_max);
    if (!formatted.ok) throw new Error(`Kafka's storage could not be formatted. It said:\n${formatted.output}`);
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return { start, end, signal: sendSignal, isRunning, dispose };
}

/** 16 bytes in base64url; each run has its own data, so it may always be the same. */
const clusterId = "b3JkZXJzLXRlc3QtcnVuLQ";

interface Places {
  readonly dir: string;
  readonly port: number;
  readonly controllerPort: number;
  readonly listenPort: number;
  readonly advertisedPort: number;
}

function serverProperties({ dir, port, controllerPort, listenPort, advertisedPort }: Places): string {
  return `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:${port},PROXIED://127.0.0.1:${listenPort},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://127.0.0.1:${port},PROXIED://127.0.0.1:${advertisedPort}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=${join(dir, "data")}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# After a SIGKILL the controller lets the broker in again only when the session of the killed one has run out.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
`;
}

const log4j = `
rootLogger.level = error
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c: %m%n
`;

/** Kafka's jars in the user's cache, from Maven Central if they are not there yet (54 MB). */
async function fetchJars(): Promise<{ readonly dir: string } | { readonly unavailable: string }> {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const dir = join(cache, "order-processing", `kafka-${kafkaVersion}`);
  if (existsSync(dir)) return { dir };

  const maven = await runBounded(["mvn", "--version"], answer_ms_max);
  if (!maven.ok) return { unavailable: `Maven is not installed, and Kafka ${kafkaVersion} is not in ${dir}.` };
  await mkdir(join(cache, "order-processing"), { recursive: true });
  const partial = await mkdtemp(`${dir}.partial-`);
  try {
    console.warn(`Fetching Apache Kafka ${kafkaVersion} from Maven Central into ${dir}, once.`);
    await writeFile(join(partial, "pom.xml"), pom);
    const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
    const args = ["-q", "-B", "-f", join(partial, "pom.xml"), goal, `-DoutputDirectory=${join(partial, "jars")}`];
    const fetched = await runBounded(["mvn", ...args], fetch_ms_max);
    if (!fetched.ok) return { unavailable: `Maven could not fetch Kafka: ${fetched.output.trim().split("\n")[0]}` };
    // Renamed in one step, so that the cache holds all jars or none. Another run may have been first.
    await rename(join(partial, "jars"), dir).catch((error: unknown) => {
      if (!existsSync(dir)) throw error;
    });
    return { dir };
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>order-processing</groupId>
  <artifactId>test-broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${kafkaVersion}</version>
    </dependency>
  </dependencies>
</project>
`;
