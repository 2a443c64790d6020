import { afterAll, beforeAll, beforeEach, describe, test } from "bun:test";
import { findKafka } from "../brokers/kafka.ts";
import { type Cluster, startCluster } from "./cluster.ts";

/** The timeout of hooks that wait for brokers to come back. */
const cluster_ms_max = 150_000;

/** The cluster of all suites of a test run, started by the first of them. */
let shared: Promise<Cluster> | undefined;

/** Ends the run's cluster, if one was started. */
export async function disposeCluster(): Promise<void> {
  const ending = shared;
  shared = undefined;
  await (await ending?.catch(() => undefined))?.dispose();
}

/**
 * `describe` for tests that need three brokers; await it at the top of the file. Given brokers and those in Docker
 * cannot be killed one by one, so this needs Java. Like every suite that needs a broker, it is skipped loudly, or fails
 * if CI is set.
 */
export async function clusterSuite(name: string, body: (cluster: () => Cluster) => void): Promise<void> {
  const jars = await findKafka();
  if ("dir" in jars) {
    describe(`${name} (cluster)`, () => {
      let cluster: Cluster;
      beforeAll(async () => {
        cluster = await (shared ??= start());
      }, cluster_ms_max);
      // A test that failed may have left brokers dead.
      beforeEach(() => cluster.heal(), cluster_ms_max);
      afterAll(() => cluster?.heal(), cluster_ms_max);
      body(() => cluster);
    });
    return;
  }
  const why = `no cluster of Apache Kafka can be started. ${jars.unavailable}`;
  if (!["", "0", "false"].includes(process.env["CI"] ?? "")) {
    describe(name, () => {
      test("needs a cluster", () => {
        throw new Error(`With CI set, this suite must run, but ${why}`);
      });
    });
    return;
  }
  console.warn(`\n!!! SKIPPED: ${name}: ${why}\n`);
  describe.skip(name, () => test("needs a cluster", () => {}));
}

async function start(): Promise<Cluster> {
  const started = await startCluster();
  if ("unavailable" in started) throw new Error(started.unavailable);
  return started;
}
